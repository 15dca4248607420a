/** How many rows each table of the sample shop has. */
export interface ShopSize {
  customers: number;
  products: number;
  orders: number;
  orderItems: number;
  stockEvents: number;
}

/** Shares `rows` out among the tables. */
export function shopSize(rows: number): ShopSize {
  const share = (part: number) => Math.max(1, Math.round(rows * part));
  const [customers, products, orders, stockEvents] = [share(0.15), share(0.05), share(0.25), share(0.1)];
  return {
    customers,
    products,
    orders,
    stockEvents,
    orderItems: Math.max(1, rows - customers - products - orders - stockEvents),
  };
}

/** The key of the n-th product, from 1; the generator in shop.ts makes the same in SQL. */
export function skuOf(n: number): string {
  return `SKU-${String(n).padStart(8, '0')}`;
}
