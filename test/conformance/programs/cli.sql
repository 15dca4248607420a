-- For the mysql and mariadb command line clients, --table --comments -vvv --force: what they print is compared.
SELECT VERSION(), CURRENT_USER(), DATABASE(), @@character_set_client, @@collation_connection;
SELECT * FROM types ORDER BY id\G
SHOW CREATE TABLE types;
DESCRIBE params;
SHOW TABLES;
INSERT INTO params (n, s) VALUES (1, 'é'), (2, NULL);
SELECT LAST_INSERT_ID(), ROW_COUNT();
SELEC 1;
INSERT INTO numbers VALUES (1, 'x');
SELECT CAST('12x' AS SIGNED);
SHOW WARNINGS;
DELIMITER //
CREATE PROCEDURE twice(IN a INT) BEGIN SELECT a; SELECT a * 2; END//
DELIMITER ;
CALL twice(4);
PREPARE p FROM 'SELECT n FROM numbers WHERE n < ?';
SET @n = 3;
EXECUTE p USING @n;
DEALLOCATE PREPARE p;
START TRANSACTION;
DELETE FROM params;
ROLLBACK;
SELECT COUNT(*) FROM params;
USE information_schema;
SELECT DATABASE();
SELECT TABLE_NAME FROM TABLES WHERE TABLE_SCHEMA = 'conformance' ORDER BY 1;
EXPLAIN SELECT 1;
