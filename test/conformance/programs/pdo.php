<?php // PHP's PDO: emulated and native prepared statements, as Laravel and Doctrine use it.
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::MYSQL_ATTR_LOCAL_INFILE => true];
if (getenv('DB_TLS') === '1') $options += [PDO::MYSQL_ATTR_SSL_CIPHER => 'DEFAULT', PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false];
$dsn = sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_NAME'));
foreach ([true, false] as $emulate) {
    $db = new PDO($dsn, getenv('DB_USER'), getenv('DB_PASSWORD'), $options + [PDO::ATTR_EMULATE_PREPARES => $emulate]);
    $say = function (string $step, callable $run) use ($emulate) {
        try { $value = $run(); } catch (PDOException $e) { $value = $e->errorInfo ?? $e->getMessage(); }
        echo $emulate ? 'emulated ' : 'native ', $step, ': ', json_encode($value, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_UNICODE), "\n";
    };
    $all = fn(string $sql, array $values = []) => (function () use ($db, $sql, $values) { $s = $db->prepare($sql); $s->execute($values); return $s->fetchAll(PDO::FETCH_NUM); })();
    $say('server', fn() => [$db->getAttribute(PDO::ATTR_SERVER_VERSION), $all('SELECT CURRENT_USER(), DATABASE()')]);
    $say('types', fn() => $all('SELECT id, tiny, big, big_u, dec_, flt, dbl, flag, day_, clock, moment, yr, ch, vc, latin, txt, en, st, js FROM types WHERE id >= ? ORDER BY id', [1]));
    $say('insert', fn() => [$db->prepare('INSERT INTO params (n, d, s) VALUES (:n, :d, :s)')->execute(['n' => 5, 'd' => '1.25', 's' => "é'\\💡"]), $db->lastInsertId() > 0]);
    $say('read', fn() => $all('SELECT n, d, s FROM params ORDER BY id DESC LIMIT 1'));
    $say('transaction', function () use ($db, $all) { $db->beginTransaction(); $all('UPDATE params SET n = 9'); $db->rollBack(); return $all('SELECT MAX(n) FROM params'); });
    $say('duplicate', fn() => $all("INSERT INTO numbers VALUES (1, 'x')"));
    $say('no table', fn() => $all('SELECT * FROM nothing_here WHERE id = ?', [1]));
    $say('results', function () use ($db) { $s = $db->query('CALL results(3, @out)'); $found = []; do { if ($s->columnCount() > 0) $found[] = $s->fetchAll(PDO::FETCH_NUM); } while ($s->nextRowset()); return $found; });
    $say('out', fn() => $all('SELECT @out'));
    $say('unbuffered', function () use ($db) { $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false); $sum = 0; foreach ($db->query('SELECT n FROM numbers') as $row) $sum += $row[0]; $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, true); return $sum; });
    $db = null;
}
