import type { ShopSize } from './shop-size.ts';

export interface ShopTable {
  name: string;
  create: string;
  columns: string;
  /** SQL for one row from its number `n`, which counts from 1. CRC32 stands in for chance: MySQL 9 has no MD5. */
  values(size: ShopSize): string;
  rows(size: ShopSize): number;
}

const OPTIONS = 'ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4';

export const SHOP_TABLES: readonly ShopTable[] = [
  {
    name: 'customers',
    create: `CREATE TABLE customers (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      email VARCHAR(120) NOT NULL,
      name VARCHAR(80) NOT NULL,
      country CHAR(2) NOT NULL,
      credit DECIMAL(12,2) NOT NULL,
      preferences JSON NOT NULL,
      registered_at DATETIME(6) NOT NULL,
      last_seen TIMESTAMP NULL,
      flags BIT(8) NOT NULL,
      UNIQUE KEY email (email),
      KEY country_name (country, name)
    ) ${OPTIONS}`,
    columns: 'email, name, country, credit, preferences, registered_at, last_seen, flags',
    values: () => `CONCAT('user', n, '@shop.example'),
      CONCAT(ELT(1 + n % 6, 'Ada', 'Björn', 'Chloé', '大輔', 'Ольга', 'Zoë 🛒'), ' ', CRC32(n) % 5000),
      ELT(1 + n % 7, 'DE', 'FR', 'US', 'JP', 'BR', 'IN', 'SE'),
      (CAST(CRC32(n) % 2000000 AS SIGNED) - 500000) / 100,
      JSON_OBJECT('newsletter', n % 2 = 0, 'visits', n % 300, 'score', CAST(n / 8 AS DOUBLE), 'tags', JSON_ARRAY('a', n % 9, NULL)),
      TIMESTAMPADD(MICROSECOND, CRC32(n), TIMESTAMPADD(MINUTE, n % 1500000, '2021-01-01 00:00:00')),
      IF(n % 5 = 0, NULL, TIMESTAMPADD(MINUTE, n % 400000, '2025-01-01 00:00:00')),
      n % 256`,
    rows: ({ customers }) => customers,
  },
  {
    name: 'products',
    create: `CREATE TABLE products (
      sku VARCHAR(24) NOT NULL PRIMARY KEY,
      title VARCHAR(200) NOT NULL,
      price DECIMAL(10,2) NOT NULL,
      weight DOUBLE NULL,
      rating FLOAT NULL,
      stock INT NOT NULL,
      status ENUM('active', 'retired', 'announced') NOT NULL,
      labels SET('new', 'sale', 'eco', 'bulky') NOT NULL,
      thumbnail BLOB NULL,
      description TEXT NULL,
      launched YEAR NULL,
      KEY status_price (status, price)
    ) ${OPTIONS}`,
    columns: 'sku, title, price, weight, rating, stock, status, labels, thumbnail, description, launched',
    values: () => `CONCAT('SKU-', LPAD(n, 8, '0')), CONCAT('Product № ', n), (CRC32(n) % 100000) / 100,
      IF(n % 11 = 0, NULL, n / 3), (n % 50) / 10, CRC32(n) % 10000, 1 + n % 3, n % 16,
      IF(n % 4 = 0, NULL, UNHEX(SHA2(n, 256))), REPEAT(CONCAT('Lorem ', n, ' ipsum. '), n % 8), 2000 + n % 25`,
    rows: ({ products }) => products,
  },
  {
    name: 'orders',
    create: `CREATE TABLE orders (
      id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      customer_id BIGINT UNSIGNED NOT NULL,
      status ENUM('new', 'paid', 'sent', 'returned') NOT NULL,
      total DECIMAL(12,2) NOT NULL,
      placed_at DATETIME(6) NOT NULL,
      deliver_on DATE NULL,
      deliver_at TIME NULL,
      note VARCHAR(200) NULL,
      KEY customer_placed (customer_id, placed_at),
      KEY status (status)
    ) ${OPTIONS}`,
    columns: 'customer_id, status, total, placed_at, deliver_on, deliver_at, note',
    values: ({ customers }) => `1 + CRC32(n) % ${customers}, 1 + n % 4, (CRC32(n) % 500000) / 100,
      TIMESTAMPADD(MICROSECOND, n, TIMESTAMPADD(MINUTE, n % 1000000, '2023-06-01 00:00:00')),
      IF(n % 3 = 0, NULL, DATE_ADD('2023-06-01', INTERVAL n % 900 DAY)), IF(n % 3 = 0, NULL, SEC_TO_TIME(n % 86400)),
      IF(n % 10 = 0, CONCAT('Bitte klingeln 🔔 ', n), NULL)`,
    rows: ({ orders }) => orders,
  },
  {
    name: 'order_items',
    create: `CREATE TABLE order_items (
      order_id INT UNSIGNED NOT NULL,
      line SMALLINT UNSIGNED NOT NULL,
      sku VARCHAR(24) NOT NULL,
      quantity SMALLINT UNSIGNED NOT NULL,
      unit_price DECIMAL(10,2) NOT NULL,
      discount FLOAT NULL,
      PRIMARY KEY (order_id, line),
      KEY sku (sku)
    ) ${OPTIONS}`,
    columns: 'order_id, line, sku, quantity, unit_price, discount',
    values: ({ orders, orderItems, products }) => `1 + FLOOR((n - 1) / ${Math.ceil(orderItems / orders)}),
      2 + (n - 1) % ${Math.ceil(orderItems / orders)},
      CONCAT('SKU-', LPAD(1 + CRC32(n) % ${products}, 8, '0')), 1 + n % 9, (CRC32(n) % 20000) / 100, IF(n % 6 = 0, 0.15, NULL)`,
    rows: ({ orderItems }) => orderItems,
  },
  {
    name: 'stock_events',
    create: `CREATE TABLE stock_events (
      warehouse CHAR(3) CHARACTER SET ascii NOT NULL,
      event_no BIGINT NOT NULL,
      sku VARCHAR(24) NOT NULL,
      change_by MEDIUMINT NOT NULL,
      payload VARBINARY(64) NULL,
      PRIMARY KEY (warehouse, event_no)
    ) ${OPTIONS}`,
    columns: 'warehouse, event_no, sku, change_by, payload',
    values: ({
      products,
    }) => `ELT(1 + n % 4, 'BER', 'LYS', 'OSA', 'GRU'), n, CONCAT('SKU-', LPAD(1 + n % ${products}, 8, '0')),
      n % 200 - 100, IF(n % 7 = 0, NULL, UNHEX(SHA2(n, 256)))`,
    rows: ({ stockEvents }) => stockEvents,
  },
];
