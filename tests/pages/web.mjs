// A manager's day on the web page, by keyboard: log in, create a source, upload a file with a bad row, rebuild, ask a report. Then
// the same pages on a phone, in the dark, without script. Arguments: address, a file to upload, one that is too large. Prints the
// report's rows as JSON.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [base, file, large] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(process.env.REJOIN_PLAYWRIGHT).href);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
// what was asked for in vain is known by its answer; who typed before the page was there has the focus
const HARMLESS = ["Failed to load resource", "Autofocus processing was blocked"];
const faults = [], said = [], foreign = [];
const demand = (holds, text) => holds || faults.push(text);
const shots = process.env.SHOTS;

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  // that an answer was an error is what some steps want
  page.on("console", (m) => HARMLESS.some((begin) => m.text().startsWith(begin)) || said.push(m.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("dialog", (dialog) => { said.push("dialog " + dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => { if (!request.url().startsWith(base)) foreign.push(request.url()); });
  return page;
}

// Walks by Tab until the focus is on what is wanted, and shows that it is.
async function walk(page, wanted) {
  for (let steps = 0; steps < 80; steps++) {
    await page.keyboard.press("Tab");
    const on = await page.evaluate((wanted) => {
      const focus = document.activeElement;
      if (!focus.matches(wanted.selector) || (wanted.text && focus.textContent.trim() !== wanted.text)) return null;
      const style = getComputedStyle(focus);
      return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 ? "seen" : "unseen";
    }, wanted);
    if (on) return demand(on === "seen", `${wanted.selector} ${wanted.text ?? ""}: the focus is not to be seen`);
  }
  throw new Error(`${page.url()}: Tab never comes to ${wanted.selector} ${wanted.text ?? ""}`);
}
const press = async (page, selector, text) => {
  await walk(page, { selector, text });
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
};
const type = async (page, selector, text) => {
  await walk(page, { selector });
  await page.keyboard.type(text);
};
const logIn = async (page) => {
  await page.goto(base + "/");
  await page.fill("#user", "mia");
  await page.fill("#password", "manager-pass");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
};
const text = (page) => page.locator("main").innerText();

const page = await open({});
// choosers come to us from the start
page.on("filechooser", () => {});
// a wrong password first
await page.goto(base + "/log");
demand(page.url().startsWith(base + "/login?next="), `without login: ${page.url()}`);
// the page puts the focus where the typing begins
await page.locator("#user:focus").waitFor();
await page.keyboard.type("mia");
await type(page, "#password", "wrong");
await press(page, "button", "Log in");
demand((await text(page)).includes("wrong password"), "a wrong password is not told");
await page.locator("#password:focus").waitFor();
await page.keyboard.type("manager-pass");
await press(page, "button", "Log in");
demand(page.url() === base + "/log", `the login leads to ${page.url()}`);

await press(page, "nav a", "Manage");
await press(page, "a", "Settings and new source");
await type(page, "#name", "leads");
await type(page, "#metrics", "event10, revenu");
await press(page, "button", "Create source");
demand((await text(page)).includes("revenu"), "a wrong metric is not told");
await walk(page, { selector: "#metrics" });
await page.keyboard.press("Control+A");
await page.keyboard.type("event10, revenue");
await press(page, "button", "Create source");
demand(new URL(page.url()).pathname === "/suites/web/sources/leads", `the new source is at ${page.url()}`);

const upload = async (path) => {
  await walk(page, { selector: "#file" });
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
  await chooser.setFiles(path);
  await press(page, "button", "Upload and load");
};
await upload(large);
demand((await text(page)).includes("larger than 1 MB"), `too large: ${await text(page)}`);
await page.goBack();
await upload(file);
let shown = await text(page);
demand(shown.includes("2 rows, 1 rejected"), `after the upload: ${shown}`);
demand(shown.includes("<b>bad</b>") && shown.includes("semicolon"), `the rejected row: ${shown}`);
demand((await page.locator("main b").count()) === 0, "a rejected row became an element");
await press(page, "nav a", "File log");
const line = page.locator("tr", { hasText: "leads_1.txt" });
demand((await line.locator("td.bad").innerText()) === "1", "the file log has no error");

await press(page, "nav a", "Rebuilds");
await press(page, "button", "Rebuild now");
await page.locator("[role=status], [role=alert]", { hasText: /is done|failed|not / }).first().waitFor();
demand((await text(page)).includes("Rebuild 1 is done"), `the rebuild: ${await text(page)}`);

await press(page, "nav a", "Report");
await press(page, "button", "Show report");
const link = page.url();
await page.waitForSelector("figure svg path", { state: "attached" });
const rows = await page.$$eval("main section tbody tr", (all) => all.map((r) => [...r.children].map((c) => c.textContent)));
demand((await page.locator("main img, main svg image").count()) === 0, "an item became an element");
demand(await page.evaluate(() => window.hacked === undefined), "a script of the data ran");
// under the pointer, too
const box = await page.locator(".chart").boundingBox();
await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
await page.locator(".tip").first().waitFor();
demand((await page.locator(".tip img").count()) === 0, "an item became an element in a tooltip");
await walk(page, { selector: "summary", text: "SQL" });
await page.keyboard.press("Enter");
await press(page, "a", "Open as SQL");
const asSql = await page.$$eval("main section tbody tr", (all) => all.map((r) => r.children[0].textContent));
demand(JSON.stringify(asSql.map((t) => (t === "NULL" ? "(none)" : t))) === JSON.stringify(rows.map((r) => r[0])), `as SQL: ${asSql}`);

// the keyboard runs a statement, an error has its caret, an example is a link
await page.fill("#q", "SELECT 1 AS one,\n  nme FROM events");
await page.focus("#q");
await Promise.all([page.waitForNavigation(), page.keyboard.press("Control+Enter")]);
demand((await page.locator("#sql-error pre").innerText()) === "2 |   nme FROM events\n      ^", `the caret: ${await text(page)}`);
await page.fill("#q", "SELECT 41 + 1 AS answer");
await page.focus("#q");
await Promise.all([page.waitForNavigation(), page.keyboard.press("Control+Enter")]);
demand((await page.locator("main section tbody").innerText()).includes("42"), `by Ctrl+Enter: ${await text(page)}`);
await walk(page, { selector: "aside summary", text: "suites" });
await page.keyboard.press("Enter");
demand(await page.locator("aside details[open] code", { hasText: /^time_zone$/ }).first().isVisible(), "a table does not open its columns");
await press(page, "aside a", "All tables");
demand((await text(page)).includes("events"), `an example: ${await text(page)}`);

// switching off asks first
await press(page, "nav a", "Manage");
await press(page, "button", "Switch off");
demand((await text(page)).includes("Nothing is lost"), `switching off: ${await text(page)}`);
await press(page, "a", "Leave it on");
demand((await text(page)).includes("Transaction ID on"), `left on: ${await text(page)}`);

// from an item to its conversions, and to the path of one
await page.goto(link);
await press(page, "main tbody a", "search");
demand((await text(page)).includes("Conversions of an item"), `of an item: ${await text(page)}`);
const conversions = page.url();
await walk(page, { selector: "main tbody a" });
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
demand((await text(page)).includes("Each model's share"), `of a conversion: ${await text(page)}`);
const path = page.url();

// a funnel, saved under a name that would be an element, and opened from the list
await page.goto(base + "/reports/funnel");
await walk(page, { selector: "#steps" });
await page.keyboard.press("Control+A");
await page.keyboard.type("revenue >= 0\nrevenue > 60");
await press(page, "button", "Show funnel");
await page.waitForSelector("figure svg path", { state: "attached" });
const funnel = page.url();
await walk(page, { selector: "summary", text: "Save this report" });
await page.keyboard.press("Enter");
await type(page, "#report", "<b onclick=window.hacked=1>buyers</b>");
await press(page, "button", "Save report");
demand(new URL(page.url()).pathname === "/reports/funnel", `saving leads to ${page.url()}`);
await press(page, "nav a", "Saved reports");
await press(page, "main tbody a", "<b onclick=window.hacked=1>buyers</b>");
demand((await page.locator("#steps").inputValue()) === "revenue >= 0\nrevenue > 60", "the saved funnel has other steps");

// a flow is drawn without script, and its names are text
const flow = "/reports/flow?suite=web&dimension=tracking_code&direction=after&from=1+%3D+1";
await page.goto(base + flow);
demand((await page.locator(".ways svg path").count()) > 0, "no flow is drawn");
demand((await page.locator(".ways img").count()) === 0, "an item became an element in a flow");

await press(page, "nav a", "Persons");
await press(page, "a", "id:bob");
demand((await text(page)).includes("a customer ID on the visitor's rows"), `a person: ${await text(page)}`);
await press(page, "button", "Unlink");
demand((await text(page)).includes("taken out of the person"), `after the unlink: ${await text(page)}`);

// every page in every look
const paths = [flow, ...[conversions, path, funnel].map((address) => address.slice(base.length)), "/reports/saved", "/reports/funnel",
  "/reports/flow", "/reports/paths", "/reports/paths?metric=revenue&dimension=tracking_code",
  "/reports?metric=revenue&dimension=tracking_code&since=2026-09-01&last=2026-09-30&compare=before",
  `${link.slice(base.length)}&beside=linear&by=month`, `${link.slice(base.length)}&column1=tracking_code&list=values`,
  "/", "/suites/web", "/suites/web/transaction-id", "/sql", "/suites/web/sources/leads", "/log", "/rebuilds", link.slice(base.length), "/sql?q=SHOW+TABLES",
  "/sql?q=SELECT+*+FROM+events", "/sql?q=SELECT+*%0AFROM+x+WHRE+y+z", "/nothing", "/persons", "/persons?suite=web&person=id%3Abob", `/persons?person=id%3A${"x".repeat(5000)}`,
  "/log/file?suite=web&source=leads&file=leads_1.txt"];
const looks = { desk: {}, dark: { colorScheme: "dark" }, phone: { viewport: { width: 360, height: 740 } },
  scriptless: { javaScriptEnabled: false } };
for (const [look, options] of Object.entries(looks)) {
  const page = await open(options);
  await logIn(page);
  for (const path of paths) {
    const where = `${look} ${path}`;
    await page.goto(base + path);
    if (shots) await page.screenshot({ path: join(shots, `${path.split("?")[0].replaceAll("/", "_")}.${look}.png`), fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    demand(wide <= 0, `${where}: ${wide} too wide`);
    const unnamed = await page.$$eval("input:not([type=hidden]), select, textarea, [tabindex='0']:not(pre), [role=img]", (all) =>
      all.filter((e) => !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent)).map((e) => e.outerHTML));
    demand(!unnamed.length, `${where}: without a name: ${unnamed}`);
    const headings = await page.$$eval("h1, h2, h3", (all) => all.map((h) => +h.tagName[1]));
    demand(headings[0] === 1 && headings.filter((h) => h === 1).length === 1, `${where}: headings ${headings}`);
    const bare = await page.$$eval("table", (all) => all.filter((t) => !t.caption?.textContent).length);
    demand(!bare, `${where}: a table without caption`);
    const ids = await page.$$eval("[id]", (all) => all.map((e) => e.id));
    demand(new Set(ids).size === ids.length, `${where}: an id stands twice in ${ids}`);
  }
  if (look === "scriptless") {
    await page.goto(link);
    demand(await page.locator("table").isVisible(), "scriptless: no table");
    demand(!(await page.locator("figure").isVisible()), "scriptless: an empty figure shows");
  }
  await page.context().close();
}
demand(!said.length, `the console says ${said}`);
demand(!foreign.length, `asks for ${foreign}`);
await browser.close();
console.log(JSON.stringify({ faults, rows, link }));
process.exitCode = faults.length ? 1 : 0;
