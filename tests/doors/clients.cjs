// What clients of Node ask of the Postgres door: node-postgres, Knex, Sequelize. clients.cjs PORT USER PASSWORD

const assert = require("node:assert/strict");
const knex = require("knex");
const { Client, Pool } = require("pg");
const { DataTypes, Op, QueryTypes, Sequelize, col, fn } = require("sequelize");

const [port, user, password] = process.argv.slice(2);
const server = { host: "127.0.0.1", port: Number(port), user, password, database: "rejoin" };

async function refused(code, asked) {
    await assert.rejects(asked, (error) => {
        assert.equal((error.parent ?? error).code, code, error.message);
        return true;
    });
}

async function nodePostgres() {
    const client = new Client(server);
    await client.connect();
    const one = async (sql, values) => Object.values((await client.query(sql, values)).rows[0])[0];
    assert.equal(await one("SELECT $1::int + 1", [1]), 2n.toString());
    assert.equal(await one("SELECT count(*) FROM suites WHERE suite = ANY($1)", [["nosuch"]]), "0");
    assert.deepEqual(await one("SELECT $1::int[]", [[1, null, 2]]), [1, null, 2]);
    const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    assert.equal(await one("SELECT $1::uuid", [id]), id);
    assert.ok((await one("SELECT max(hit_time) FROM events")) instanceof Date);
    const several = await client.query("SET TIME ZONE INTERVAL '-05:00' HOUR TO MINUTE; SELECT '2026-01-31 12:00Z'::timestamptz::text AS t; SELECT 2 AS n");
    assert.deepEqual(several.map((result) => result.rows), [[], [{ t: "2026-01-31 07:00:00-05" }], [{ n: several[2].rows[0].n }]]);
    const named = { name: "mine", text: "SELECT json_array_elements_text($1::json) AS x", values: ['["a", 2]'] };
    for (let again = 0; again < 2; again++) {
        assert.deepEqual((await client.query(named)).rows, [{ x: "a" }, { x: "2" }]);
    }
    await refused("42703", client.query("SELECT nothing"));
    await client.end();

    const pool = new Pool({ ...server, max: 2 });
    const counts = await Promise.all([1, 2, 3, 4].map((n) => pool.query("SELECT count(*) AS n FROM generate_series(1, $1::bigint)", [n])));
    assert.deepEqual(counts.map((result) => result.rows[0].n), ["1", "2", "3", "4"]);
    await pool.end();
}

async function byKnex() {
    const lake = knex({ client: "pg", connection: server });
    const [{ n: events }] = await lake("events").count("* as n");
    assert.ok(Number(events) > 0);
    const [{ n: coded }] = await lake("events").count("* as n").whereNotNull("tracking_code").where("hit_time", ">", new Date(0));
    assert.ok(Number(coded) > 0 && Number(coded) < Number(events));
    assert.ok((await lake("events").select("event_id", "hit_time").orderBy("hit_time").first()).hit_time instanceof Date);
    const elements = await lake.raw("SELECT e ->> 'a' AS a FROM json_array_elements(?) e", ['[{"a": 1}, {"a": "b"}]']);
    assert.deepEqual(elements.rows, [{ a: "1" }, { a: "b" }]);
    assert.ok("time_zone" in (await lake("suites").columnInfo()));
    assert.equal(await lake.schema.hasTable("suites"), true);
    assert.equal(await lake.schema.hasTable("nosuch"), false);
    await lake.transaction(async (outer) => {
        await assert.rejects(outer.transaction((inner) => inner.raw("SELECT nothing")));
        // the savepoint is gone back to
        assert.equal((await outer("events").count("* as n"))[0].n, events);
    });
    await refused("25006", lake("events").insert({ event_id: "x" }));
    await lake.destroy();
}

async function bySequelize() {
    // of a zone that is hours alone, which is an interval, and of one with a name
    for (const timezone of ["+00:00", "Europe/Berlin"]) {
        const lake = new Sequelize("rejoin", user, password, { ...server, dialect: "postgres", timezone, logging: false });
        await lake.authenticate();
        assert.match(await lake.databaseVersion(), /Rejoin/);
        const [{ zone }] = await lake.query("SELECT current_setting('TimeZone') AS zone", { type: QueryTypes.SELECT });
        assert.equal(zone, timezone === "+00:00" ? "UTC" : timezone);
        const asked = await lake.query("SELECT $1::int + 1 AS n", { bind: [1], type: QueryTypes.SELECT });
        assert.equal(Number(asked[0].n), 2);

        const schema = lake.getQueryInterface();
        assert.ok((await schema.showAllTables()).flat().includes("suites"));
        assert.equal((await schema.describeTable("suites")).transaction_id.type, "BOOLEAN");
        assert.deepEqual(await schema.showIndex("suites"), []);
        assert.deepEqual(await schema.getForeignKeyReferencesForTable("suites"), []);

        const columns = { event_id: { type: DataTypes.STRING, primaryKey: true }, hit_time: DataTypes.DATE, tracking_code: DataTypes.STRING };
        const Event = lake.define("event", columns, { tableName: "events", timestamps: false });
        const all = await Event.count();
        const since = new Date("2020-01-01");
        assert.equal(await Event.count({ where: { hit_time: { [Op.gte]: since } } }), all);
        const { count, rows } = await Event.findAndCountAll({ where: { tracking_code: { [Op.ne]: null } }, order: [["hit_time", "ASC"]], limit: 2 });
        assert.ok(count > 2 && rows.length === 2 && rows[0].hit_time <= rows[1].hit_time);
        const code = rows[0].tracking_code;
        const withCode = await Event.count({ where: { tracking_code: code } });
        assert.equal(await Event.count({ where: { tracking_code: { [Op.in]: [code, "x"] } } }), withCode);
        assert.equal(await Event.count({ where: { tracking_code: { [Op.any]: [code, "x"] } } }), withCode);
        const groups = await Event.findAll({ attributes: ["tracking_code", [fn("COUNT", col("*")), "n"]], group: ["tracking_code"], raw: true });
        assert.equal(groups.reduce((sum, group) => sum + Number(group.n), 0), all);
        const within = await lake.transaction((outer) => lake.transaction({ transaction: outer }, (inner) => Event.count({ transaction: inner })));
        assert.equal(within, all);
        await refused("25006", Event.create({ event_id: "x" }));
        await lake.close();
    }
}

async function main() {
    await nodePostgres();
    await byKnex();
    await bySequelize();
    console.log("three clients of Node answered");
}

main();
