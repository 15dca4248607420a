// Sequelize: a small real schema, associations, transactions, migrations by its query interface.
import { Sequelize, DataTypes, Op } from 'sequelize';
import { address, say, failing } from './say.mjs';

const sequelize = new Sequelize(address.database, address.user, address.password, {
  host: address.host,
  port: address.port,
  dialect: 'mysql',
  logging: false,
  timezone: '+00:00',
  pool: { max: 3 },
  dialectOptions: address.tls ? { ssl: { rejectUnauthorized: false } } : {},
});
const User = sequelize.define(
  'user',
  { name: { type: DataTypes.STRING, unique: true }, settings: DataTypes.JSON, balance: DataTypes.DECIMAL(12, 2) },
  { timestamps: false },
);
const Order = sequelize.define(
  'order',
  { total: DataTypes.DECIMAL(10, 2), placed: DataTypes.DATE(3), note: DataTypes.TEXT },
  { timestamps: false },
);
User.hasMany(Order);
Order.belongsTo(User);

await say('sync', async () => (await sequelize.sync({ force: true })) && 'done');
await say('migration', async () => {
  const schema = sequelize.getQueryInterface();
  await schema.addColumn('users', 'city', { type: DataTypes.STRING(50), defaultValue: 'Bern' });
  await schema.addIndex('orders', ['placed']);
  return Object.keys(await schema.describeTable('users'));
});
// Within a transaction: both orders are sent at once, and over two connections either may be the first.
await say('create', async () =>
  sequelize.transaction(async (transaction) =>
    (
      await User.create(
        {
          name: 'Zoë 💡',
          settings: { a: [1, null] },
          balance: '10.50',
          orders: [{ total: '1.10', placed: new Date(1e12) }, { total: 2 }],
        },
        { include: [Order], transaction },
      )
    ).toJSON(),
  ),
);
await say(
  'bulk',
  async () => (await User.bulkCreate(Array.from({ length: 50 }, (_, i) => ({ name: `user ${i}`, balance: i })))).length,
);
await say('include', async () =>
  (await User.findAll({ include: [Order], where: { id: 1 }, order: [[Order, 'id', 'ASC']] })).map((user) =>
    user.toJSON(),
  ),
);
await say('transaction', async () => {
  await sequelize.transaction(async (transaction) =>
    User.increment({ balance: 5 }, { where: { id: { [Op.lt]: 10 } }, transaction }),
  );
  await sequelize
    .transaction(async (transaction) => {
      await User.destroy({ where: {}, transaction });
      throw new Error('no');
    })
    .catch(() => undefined);
  return [await User.count(), await User.sum('balance')];
});
await failing('duplicate', () => User.create({ name: 'user 1' }));
await say('parallel', async () =>
  (await Promise.all(Array.from({ length: 12 }, (_, i) => User.findOne({ where: { name: `user ${i}` } })))).map(
    (user) => user?.balance,
  ),
);
await sequelize.close();
