/** An ERR packet as mysql2 makes it of one: code, errno, sqlState (page_protocol_basic_err_packet). */
export function serverMessage(payload: Buffer): Error {
  const errno = payload.readUInt16LE(1);
  const marked = payload[3] === 0x23;
  const sqlState = marked ? payload.toString('latin1', 4, 9) : 'HY000';
  const message = payload.toString('utf8', marked ? 9 : 3);
  return Object.assign(new Error(message), { code: `ER_${errno}`, errno, sqlState });
}
