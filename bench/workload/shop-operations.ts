import { skuOf } from '../../demo/shop-size.ts';
import { randomBelow, type Operation } from './operations.ts';

/** What a shop's application does all day, on tables with every type of column. */
export const SHOP_OPERATIONS: readonly Operation[] = [
  {
    name: 'place order',
    weight: 2,
    run: async ({ session, ledger, primary, shop }) => {
      if (shop === null) return;
      await ledger.insert(session, async (sequence) => {
        const sku = skuOf(1 + randomBelow(shop.products));
        await primary.query('START TRANSACTION');
        const order = await primary.insert(
          `INSERT INTO orders (customer_id, status, total, placed_at, note) VALUES (?, 'new', ?, NOW(6), ?)`,
          [1 + randomBelow(shop.customers), '19.99', `Bestellung ${session}/${sequence} ✓`],
        );
        await primary.execute(
          'INSERT INTO order_items (order_id, line, sku, quantity, unit_price) VALUES (?, 1, ?, ?, ?)',
          [order, sku, 1 + randomBelow(5), '9.99'],
        );
        await primary.execute('UPDATE products SET stock = stock - 1, rating = ? WHERE sku = ?', [
          randomBelow(50) / 10,
          sku,
        ]);
        await primary.execute('INSERT INTO traffic_ledger (session, sequence, kind, note) VALUES (?, ?, ?, ?)', [
          session,
          sequence,
          'order',
          String(order),
        ]);
        await primary.query('COMMIT');
      });
    },
  },
  {
    name: 'touch customer',
    weight: 1,
    run: async ({ primary, shop }) => {
      if (shop === null) return;
      const id = 1 + randomBelow(shop.customers);
      await primary.execute(
        "UPDATE customers SET last_seen = NOW(), flags = ?, preferences = JSON_SET(preferences, '$.visits', ?) WHERE id = ?",
        [randomBelow(256), randomBelow(1000), id],
      );
    },
  },
  {
    name: 'order page',
    weight: 3,
    run: async ({ replica, shop }) => {
      if (shop === null) return;
      const customer = 1 + randomBelow(shop.customers);
      await replica.execute('SELECT * FROM customers WHERE id = ?', [customer]);
      await replica.query(`SELECT * FROM orders WHERE customer_id = ${customer} ORDER BY placed_at DESC LIMIT 10`);
    },
  },
  {
    name: 'product page',
    weight: 2,
    run: async ({ primary, shop }) => {
      if (shop === null) return;
      await primary.execute('SELECT * FROM products WHERE sku = ?', [skuOf(1 + randomBelow(shop.products))]);
    },
  },
];
