<?php // PHP's mysqli on mysqlnd: text, prepared, multi-query, cursors, asynchronous query, big rows.
mysqli_report(MYSQLI_REPORT_OFF);
$tls = getenv('DB_TLS') === '1';
$db = mysqli_init();
$db->options(MYSQLI_OPT_LOCAL_INFILE, true);
if ($tls) $db->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, false);
$ok = $db->real_connect(getenv('DB_HOST'), getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'), (int) getenv('DB_PORT'), null,
    $tls ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0);
function show($value) { return json_encode($value, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR); }
function say($step, $value) { global $db; echo $step, ': ', show($value), ' ', show([$db->errno, $db->sqlstate, $db->error, $db->affected_rows, $db->insert_id, $db->warning_count]), "\n"; }
function rows($sql) { global $db; $r = $db->query($sql); return $r instanceof mysqli_result ? $r->fetch_all(MYSQLI_NUM) : $r; }
if (!$ok) { echo 'connect: ', $db->connect_errno, ' ', $db->connect_error, "\n"; exit(1); }
say('server', rows('SELECT VERSION(), CURRENT_USER(), DATABASE()'));
$db->set_charset('utf8mb4');
say('text types', rows('SELECT id, tiny, big_u, dec_, flt, dbl, HEX(bits), day_, clock, moment, stamp, yr, ch, vc, latin, HEX(bin), txt, HEX(blb), en, st, js FROM types ORDER BY id'));
$r = $db->query('SELECT * FROM types LIMIT 0');
say('fields', array_map(fn($f) => [$f->name, $f->orgtable, $f->length, $f->type, $f->flags, $f->charsetnr, $f->decimals], $r->fetch_fields()));
$s = $db->prepare('SELECT id, big_u, dec_, dbl, moment, vc, js FROM types WHERE id >= ? ORDER BY id');
$one = 1; $s->bind_param('i', $one); $s->execute();
say('prepared', $s->get_result()->fetch_all(MYSQLI_NUM)); $s->close();
$s = $db->prepare('INSERT INTO params (n, f, s, b) VALUES (?, ?, ?, ?)');
$n = PHP_INT_MAX; $f = 0.1; $str = "naïve 💡'"; $null = null; $s->bind_param('idsb', $n, $f, $str, $null);
$s->send_long_data(3, "\0\x01"); $s->send_long_data(3, "\xff'"); $s->execute();
say('long data', [$s->affected_rows, $s->insert_id, rows('SELECT n, f, s, HEX(b) FROM params')]); $s->close();
$s = $db->prepare('SELECT n FROM numbers WHERE n < 2000 ORDER BY n');
$s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY); $s->attr_set(MYSQLI_STMT_ATTR_PREFETCH_ROWS, 100);
$s->execute(); $s->bind_result($value); $sum = 0; while ($s->fetch()) $sum += $value;
say('cursor', $sum); $s->close();
$big = str_repeat('switchyard', intdiv((int) (getenv('BIG_BYTES') ?: 17 * 2 ** 20), 10));
say('big', rows("INSERT INTO params (s, b) VALUES ('big', '$big')"));
$back = rows("SELECT b FROM params WHERE s = 'big'");
say('big back', $back ? [strlen($back[0][0]), hash('sha256', $back[0][0])] : null);
$db->begin_transaction(); rows('DELETE FROM params'); $db->rollback();
say('rollback', rows('SELECT COUNT(*) FROM params'));
say('syntax', rows('SELEC 1'));
say('duplicate', rows("INSERT INTO numbers VALUES (1, 'x')"));
say('prepare error', $db->prepare('SELECT * FROM nothing_here'));
$db->multi_query('CALL results(3, @out); SELECT @out; SELECT nope; SELECT 5');
$all = []; do { if ($r = $db->store_result()) { $all[] = $r->fetch_all(MYSQLI_NUM); } else { $all[] = $db->errno; } } while ($db->more_results() && $db->next_result());
say('multi', $all);
say('unbuffered', (function () use ($db) { $r = $db->query('SELECT n FROM numbers', MYSQLI_USE_RESULT); $sum = 0; while ($row = $r->fetch_row()) $sum += $row[0]; return $sum; })());
$db->query('SELECT SLEEP(0.05), 7', MYSQLI_ASYNC);
do { $read = $errors = $reject = [$db]; } while (!mysqli_poll($read, $errors, $reject, 5));
say('async', $db->reap_async_query()->fetch_row());
say('stat', preg_match('/^Uptime: \d+/', $db->stat()));
say('warnings', [rows("SELECT CAST('12x' AS SIGNED)"), rows('SHOW WARNINGS')]);
say('change user', [$db->change_user(getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME')), rows('SELECT DATABASE(), @out')]);
say('ping', @$db->ping());
$db->close();
