import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.Properties;

/** What pgjdbc's DatabaseMetaData says of the lake. Metadata.java PORT USER PASSWORD; DBeaver and DataGrip look around by it. */
public class Metadata {
    interface Question {
        Object ask() throws Exception;
    }

    static int failed = 0;

    /** All values of a result are read; a number of rows is compared, where one is expected. */
    static void ask(String name, Object expected, Question question) {
        try {
            Object found = question.ask();
            if (found instanceof ResultSet rows) {
                int count = 0;
                for (; rows.next(); count++) {
                    for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                        rows.getString(i);
                    }
                }
                found = count;
            }
            boolean as_expected = expected == null ? !found.equals(0) : expected.equals(found);
            if (!as_expected) {
                throw new Exception("expected " + expected + ", found " + found);
            }
        } catch (Exception error) {
            failed++;
            System.out.println(name + ": " + error);
        }
    }

    static Object only(ResultSet rows) throws SQLException {
        rows.next();
        return rows.getObject(1);
    }

    /** What each method of DatabaseMetaData says where it is asked about a table; the errors of the server, one a line. */
    static Object everyMethod(DatabaseMetaData about) throws Exception {
        StringBuilder wrong = new StringBuilder();
        for (java.lang.reflect.Method method : DatabaseMetaData.class.getMethods()) {
            Class<?>[] types = method.getParameterTypes();
            Object[] values = new Object[types.length];
            String[] texts = {null, "public", "suites", "%", null, null};
            for (int i = 0, text = 0; i < types.length; i++) {
                values[i] = types[i] == String.class ? texts[text++] : types[i] == int.class ? (Object) 1 : types[i] == boolean.class ? (Object) true : null;
            }
            try {
                if (method.invoke(about, values) instanceof ResultSet rows) {
                    while (rows.next()) {
                        rows.getObject(1);
                    }
                }
            } catch (java.lang.reflect.InvocationTargetException error) {
                // what the driver does not offer it says without asking
                if (error.getCause() instanceof org.postgresql.util.PSQLException) {
                    wrong.append(method.getName()).append(": ").append(error.getCause().getMessage()).append("\n");
                }
            }
        }
        return wrong.toString();
    }

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("user", args[1]);
        properties.put("password", args[2]);
        Connection guest = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + args[0] + "/rejoin", properties);
        DatabaseMetaData about = guest.getMetaData();
        ask("version", "16.0 (Rejoin)", about::getDatabaseProductVersion);
        ask("tables", null, () -> about.getTables(null, null, "%", null));
        ask("tables of a kind", 1, () -> about.getTables(null, "public", "events", new String[] {"TABLE", "VIEW"}));
        ask("columns", null, () -> about.getColumns(null, "public", "%", null));
        ask("columns of a table", null, () -> about.getColumns(null, null, "suites", "%"));
        ask("schemas", 3, about::getSchemas);
        ask("schemas by name", 1, () -> about.getSchemas(null, "pub%"));
        ask("catalogs", 1, about::getCatalogs);
        ask("kinds of tables", null, about::getTableTypes);
        ask("primary keys", 0, () -> about.getPrimaryKeys(null, "public", "suites"));
        ask("imported keys", 0, () -> about.getImportedKeys(null, "public", "suites"));
        ask("exported keys", 0, () -> about.getExportedKeys(null, "public", "suites"));
        ask("keys between", 0, () -> about.getCrossReference(null, "public", "suites", null, "public", "hits"));
        ask("indexes", 0, () -> about.getIndexInfo(null, "public", "suites", false, true));
        ask("best row identifier", 0, () -> about.getBestRowIdentifier(null, "public", "suites", 1, true));
        ask("types", null, about::getTypeInfo);
        ask("types of one's own", 0, () -> about.getUDTs(null, null, "%", null));
        ask("types of one's own by kind", 0, () -> about.getUDTs(null, "public", "nosuch", new int[] {java.sql.Types.DISTINCT}));
        ask("procedures", 0, () -> about.getProcedures(null, "public", "%"));
        ask("functions", null, () -> about.getFunctions(null, null, "up%"));
        // what it gives, and each parameter
        ask("parameters of procedures", 3, () -> about.getProcedureColumns(null, "pg_catalog", "starts_with", null));
        ask("parameters of a function", 3, () -> about.getFunctionColumns(null, "pg_catalog", "starts_with", null));
        ask("columns that a function gives", 5, () -> about.getFunctionColumns(null, "pg_catalog", "pg_get_keywords", null));
        ask("parameters of all functions", null, () -> about.getFunctionColumns(null, null, null, null));
        ask("privileges on columns", 0, () -> about.getColumnPrivileges(null, "public", "suites", "nosuch"));
        ask("privileges on tables", null, () -> about.getTablePrivileges(null, "public", "suites"));
        ask("keywords", true, () -> about.getSQLKeywords().contains("analyze"));
        ask("columns of an index", 32, about::getMaxColumnsInIndex);
        ask("isolation", Connection.TRANSACTION_REPEATABLE_READ, guest::getTransactionIsolation);
        ask("schema", "public", guest::getSchema);
        ask("a column's table", "suite text", () -> {
            ResultSet rows = guest.createStatement().executeQuery("SELECT * FROM suites");
            return rows.getMetaData().getColumnName(1) + " " + rows.getMetaData().getColumnTypeName(1);
        });
        ask("parameters", 1, () -> {
            PreparedStatement asked = guest.prepareStatement("SELECT ? + 1, ?, ?, ? WHERE ?");
            asked.setBigDecimal(1, new BigDecimal("0.5"));
            asked.setString(2, "x");
            asked.setTimestamp(3, new Timestamp(0));
            asked.setObject(4, java.time.LocalDate.of(2026, 9, 1));
            asked.setBoolean(5, true);
            ResultSet rows = asked.executeQuery();
            rows.next();
            if (!rows.getBigDecimal(1).equals(new BigDecimal("1.5")) || rows.getTimestamp(3).getTime() != 0) {
                throw new Exception(rows.getString(1) + " " + rows.getTimestamp(3));
            }
            return 1;
        });
        ask("arrays", true, () -> {
            PreparedStatement asked = guest.prepareStatement("SELECT count(*) > 0 FROM events WHERE row_kind = ANY(?)");
            asked.setArray(1, guest.createArrayOf("text", new String[] {"online"}));
            return only(asked.executeQuery());
        });
        // the driver prepares on the server from the fifth time on, and takes binary
        ask("often", true, () -> {
            PreparedStatement asked = guest.prepareStatement("SELECT count(*) > 0, hit_time FROM events WHERE hit_time > ? GROUP BY 2 LIMIT 1");
            Object found = null;
            for (int i = 0; i < 10; i++) {
                asked.setTimestamp(1, new Timestamp(0));
                found = only(asked.executeQuery());
            }
            return found;
        });
        ask("table functions", null, () -> {
            PreparedStatement asked = guest.prepareStatement("SELECT item, credit FROM participation(?, ?)");
            asked.setString(1, "orders");
            asked.setString(2, "tracking_code");
            return asked.executeQuery();
        });
        ask("fetch size", 1000, () -> {
            guest.setAutoCommit(false);
            Statement asked = guest.createStatement();
            asked.setFetchSize(50);
            ResultSet rows = asked.executeQuery("SELECT value FROM range(1, 1001)");
            int count = 0;
            while (rows.next()) {
                count++;
            }
            guest.commit();
            guest.setAutoCommit(true);
            return count;
        });
        ask("a limit of time", "57014", () -> {
            Statement asked = guest.createStatement();
            asked.setQueryTimeout(1);
            try {
                asked.executeQuery("SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3");
                return "no end";
            } catch (SQLException error) {
                return error.getSQLState();
            }
        });
        ask("COPY", 10L, () -> guest.unwrap(org.postgresql.PGConnection.class).getCopyAPI()
            .copyOut("COPY (SELECT value FROM range(1, 11)) TO STDOUT", new java.io.StringWriter()));
        ask("a plan", "QUERY PLAN", () -> guest.createStatement().executeQuery("EXPLAIN SELECT 1").getMetaData().getColumnName(1));
        ask("whether rows exist", true, () -> only(guest.createStatement().executeQuery("SELECT EXISTS (SELECT 1 FROM suites)")));
        // far more rows than the server would hold at once: the first ones come before the last one is computed
        ask("the first of many rows", 1L, () -> {
            guest.setAutoCommit(false);
            Statement asked = guest.createStatement();
            asked.setFetchSize(10);
            Object first = only(asked.executeQuery("SELECT value FROM range(1, 300000000000)"));
            guest.rollback();
            guest.setAutoCommit(true);
            return first;
        });
        ask("every method", "", () -> everyMethod(about));
        ask("valid", true, () -> guest.isValid(3));
        guest.close();
        if (failed > 0) {
            throw new Exception(failed + " questions failed");
        }
        System.out.println("ok");
    }
}
