# Ruby's mysql2 gem, as Rails uses it.
require 'mysql2'
require 'digest'
db = Mysql2::Client.new(host: ENV['DB_HOST'], port: ENV['DB_PORT'].to_i, username: ENV['DB_USER'], password: ENV['DB_PASSWORD'], database: ENV['DB_NAME'],
                        encoding: 'utf8mb4', flags: ['MULTI_STATEMENTS'], local_infile: true, **(ENV['DB_TLS'] == '1' ? { ssl_mode: :required, sslverify: false } : { ssl_mode: :disabled }))
say = lambda do |step, &run|
  value = begin
    run.call
  rescue Mysql2::Error => e
    [e.error_number, e.sql_state, e.message]
  end
  puts "#{step}: #{value.inspect}"
end
all = ->(sql) { db.query(sql, as: :array, cast: false).to_a }
say.('server') { all.('SELECT VERSION(), CURRENT_USER(), DATABASE()') }
say.('types') { all.('SELECT id, tiny, big, big_u, dec_, flt, dbl, flag, day_, clock, moment, yr, ch, vc, latin, txt, HEX(blb), en, st, js FROM types ORDER BY id') }
say.('cast') { db.query('SELECT tiny, dec_, dbl, day_, vc FROM types WHERE id = 1').to_a.map { |row| row.transform_values(&:to_s) } }
say.('prepared') { db.prepare('SELECT n, s FROM numbers WHERE n BETWEEN ? AND ?').execute(3, 5, as: :array).to_a }
say.('insert') { s = db.prepare('INSERT INTO params (n, f, s) VALUES (?, ?, ?)'); s.execute(2**53 + 1, 0.1, 'é💡'); [s.last_id, s.affected_rows] }
big = 'switchyard' * ((ENV['BIG_BYTES'] || 17 * 2**20).to_i / 10)
say.('big') { db.query("INSERT INTO params (s, b) VALUES ('big', '#{big}')"); db.affected_rows }
say.('big back') { b = all.("SELECT b FROM params WHERE s = 'big'")[0][0]; [b.bytesize, Digest::SHA256.hexdigest(b)] }
say.('transaction') { db.query('BEGIN'); db.query('DELETE FROM params'); db.query('ROLLBACK'); all.('SELECT COUNT(*) FROM params') }
say.('duplicate') { db.query("INSERT INTO numbers VALUES (1, 'x')") }
say.('syntax') { db.query('SELEC 1') }
say.('multi') { found = [db.query('CALL results(3, @out); SELECT @out', as: :array).to_a]; while db.next_result do r = db.store_result; found << r.to_a(as: :array).map(&:to_s) if r; end; found }
say.('stream') { sum = 0; db.query('SELECT n FROM numbers', stream: true, cache_rows: false, as: :array).each { |row| sum += row[0] }; sum }
say.('ping') { db.ping }
db.close
