-- Big result sets for sysbench: each event reads a whole table in one statement.
sysbench.cmdline.options = {
  tables = {"Number of tables", 1},
  table_size = {"Rows per table", 100000},
}
function thread_init()
  drv = sysbench.sql.driver()
  con = drv:connect()
end
function event()
  con:query(string.format("SELECT id, k, c, pad FROM sbtest%d", sysbench.rand.uniform(1, sysbench.opt.tables)))
end
function thread_done()
  con:disconnect()
end
