// What the Node programs share: where to connect, and one line of output a step.
export const address = {
  host: process.env.DB_HOST,
  port: Number(process.env.DB_PORT),
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
  database: process.env.DB_NAME,
  tls: process.env.DB_TLS === '1',
};
export const bigBytes = Number(process.env.BIG_BYTES ?? 17 * 2 ** 20);
export const url = `mysql://${address.user}:${encodeURIComponent(address.password ?? '')}@${address.host}:${address.port}/${address.database}`;

const plain = (_, value) =>
  typeof value === 'bigint'
    ? `${value}n`
    : value?.type === 'Buffer'
      ? Buffer.from(value.data).toString('hex').slice(0, 200)
      : value;

/** Prints what a step answers; a failure is its line, too. */
export async function say(step, run) {
  try {
    console.log(`${step}: ${JSON.stringify(await run(), plain)}`);
  } catch (error) {
    console.log(`${step}: UNEXPECTED ${describe(error)}`);
  }
}

/** Prints the error that a step is to have. */
export async function failing(step, run) {
  try {
    console.log(`${step}: NO ERROR ${JSON.stringify(await run(), plain)}`);
  } catch (error) {
    console.log(`${step}: ${describe(error)}`);
  }
}

function describe(error) {
  const cause = error.parent ?? error.driverError ?? error.cause ?? error;
  return JSON.stringify([
    cause.errno,
    cause.code,
    cause.sqlState ?? cause.sqlstate,
    String(cause.sqlMessage ?? cause.message).split('\n')[0],
  ]);
}
