// Prisma with its MariaDB driver adapter; the client is generated from prisma.schema beforehand.
import { PrismaMariaDb } from '@prisma/adapter-mariadb';
import { address, say, failing } from './say.mjs';

const { PrismaClient } = await import(process.env.PRISMA_CLIENT);
const { tls, ...login } = address;
const prisma = new PrismaClient({
  adapter: new PrismaMariaDb({
    ...login,
    ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
    allowPublicKeyRetrieval: true,
    connectionLimit: 3,
  }),
});
await say('create', async () => {
  await prisma.$executeRawUnsafe(
    'CREATE TABLE Team (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL UNIQUE)',
  );
  return prisma.$executeRawUnsafe(
    'CREATE TABLE Member (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL, score DECIMAL(10,2), data JSON, teamId INT, FOREIGN KEY (teamId) REFERENCES Team (id))',
  );
});
await say('nested', () =>
  prisma.team.create({
    data: { name: 'Zürich', members: { create: [{ name: 'é', score: '1.50', data: { a: [1] } }, { name: 'b' }] } },
    include: { members: true },
  }),
);
await say('find', () => prisma.member.findMany({ where: { team: { name: 'Zürich' } }, orderBy: { id: 'asc' } }));
await say('transaction', async () => {
  await prisma
    .$transaction(async (tx) => {
      await tx.member.deleteMany();
      throw new Error('no');
    })
    .catch(() => undefined);
  return [
    await prisma.member.count(),
    await prisma.$transaction([prisma.team.count(), prisma.member.aggregate({ _sum: { score: true } })]),
  ];
});
await failing('duplicate', () => prisma.team.create({ data: { name: 'Zürich' } }));
await say('raw', () => prisma.$queryRaw`SELECT n, s FROM numbers WHERE n < ${3}`);
await prisma.$disconnect();
