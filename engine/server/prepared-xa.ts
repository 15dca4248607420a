import { errnoOf, type ServerConnection } from './connection.ts';

/** How many XA transactions are prepared; undefined where we may not know (XA_RECOVER_ADMIN). */
export async function preparedXa(connection: ServerConnection): Promise<number | undefined> {
  try {
    return (await connection.rows('XA RECOVER')).length;
  } catch (error) {
    if (errnoOf(error) === undefined || errnoOf(error) === 0) throw error;
    return undefined;
  }
}
