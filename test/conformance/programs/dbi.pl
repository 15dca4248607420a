# Perl's DBD::mysql or DBD::MariaDB, by DB_MODULE, with client-side and server-side prepared statements.
use strict; use warnings; use utf8; use DBI; use Digest::SHA 'sha256_hex'; use Encode;
binmode STDOUT, ':utf8';
my $module = $ENV{DB_MODULE};
my $prefix = $module eq 'MariaDB' ? 'mariadb' : 'mysql';
for my $server_prepare (0, 1) {
  my $tls = $ENV{DB_TLS} eq '1' ? ";${prefix}_ssl=1;${prefix}_ssl_verify_server_cert=0" . ($prefix eq 'mysql' ? ';mysql_ssl_optional=1' : '') : '';
  my $utf8 = $prefix eq 'mysql' ? ';mysql_enable_utf8mb4=1' : '';
  my $db = DBI->connect("DBI:$module:database=$ENV{DB_NAME};host=$ENV{DB_HOST};port=$ENV{DB_PORT};${prefix}_server_prepare=$server_prepare$tls$utf8",
    $ENV{DB_USER}, $ENV{DB_PASSWORD}, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
  my $say = sub { my ($step, $run) = @_;
    my $value = eval { $run->() }; my $error = $@ ? join('|', $db->err // '', $db->state // '', $db->errstr // '') : '';
    print(($server_prepare ? 'server ' : 'client '), $step, ': ', flat($value), ' ', $error, "\n"); };
  my $all = sub { my ($sql, @values) = @_; $db->selectall_arrayref($sql, undef, @values) };
  $say->('server', sub { $all->('SELECT VERSION(), CURRENT_USER(), DATABASE()') });
  $say->('types', sub { $all->('SELECT id, tiny, big, big_u, dec_, flt, dbl, flag, day_, clock, moment, yr, ch, vc, latin, txt, HEX(blb), en, st, js FROM types WHERE id >= ? ORDER BY id', 1) });
  $say->('insert', sub { $db->do('INSERT INTO params (n, d, s) VALUES (?, ?, ?)', undef, 7, '1.5', "é'\\") });
  $say->('read', sub { $all->('SELECT n, d, s FROM params ORDER BY id DESC LIMIT 1') });
  my $big = 'switchyard' x int(($ENV{BIG_BYTES} // 17 * 2**20) / 10);
  $say->('big', sub { $db->do("INSERT INTO params (s, b) VALUES ('big$server_prepare', ?)", undef, $big) });
  $say->('big back', sub { my ($value) = $db->selectrow_array("SELECT b FROM params WHERE s = 'big$server_prepare'"); [length $value, sha256_hex($value)] });
  $say->('transaction', sub { $db->begin_work; $db->do('DELETE FROM params'); $db->rollback; $all->('SELECT COUNT(*) FROM params') });
  $say->('duplicate', sub { $db->do("INSERT INTO numbers VALUES (1, 'x')") });
  $say->('syntax', sub { $db->do('SELEC 1') });
  $say->('procedure', sub { my $s = $db->prepare('CALL results(3, @out)'); $s->execute; my @found; do { push @found, $s->fetchall_arrayref if $s->{NUM_OF_FIELDS} } while $s->more_results; $s->finish; \@found });
  $say->('many', sub { my $s = $db->prepare('SELECT n FROM numbers WHERE n < ?'); $s->execute(5000); my $sum = 0; while (my ($n) = $s->fetchrow_array) { $sum += $n } $sum });
  $say->('ping', sub { $db->ping ? 1 : 0 });
  $db->disconnect;
}
sub flat { my ($v) = @_; return 'undef' unless defined $v; return ref $v ? '[' . join(',', map { flat($_) } @$v) . ']' : $v }
