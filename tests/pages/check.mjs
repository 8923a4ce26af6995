// What each page must be in Chromium: quiet, drawn as SVG, closed to scripts in its data, asking nobody for anything, fit for a
// phone, a printer, the dark and the keyboard, and of use without script.
import { pathToFileURL } from "node:url";
import { basename, join, resolve } from "node:path";

const { chromium } = await import(pathToFileURL(process.env.REJOIN_PLAYWRIGHT).href);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [];
const shots = process.env.SHOTS;

for (const file of process.argv.slice(2)) {
  const url = pathToFileURL(resolve(file)).href;
  const name = basename(file, ".html");
  const demand = (holds, text) => holds || faults.push(`${name}: ${text}`);
  const looks = { light: {}, dark: { colorScheme: "dark" }, phone: { viewport: { width: 390, height: 844 } },
    scriptless: { javaScriptEnabled: false } };
  for (const [look, options] of Object.entries(looks)) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
    const page = await context.newPage();
    const said = [], asked = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    page.on("dialog", (dialog) => { said.push("dialog " + dialog.message()); dialog.dismiss(); });
    page.on("request", (request) => { if (request.url() !== url) asked.push(request.url()); });
    await page.goto(url);
    await page.waitForTimeout(300);
    demand(!said.length, `${look}: the console says ${said}`);
    demand(!asked.length, `${look}: asks for ${asked}`);
    const { width, inner } = await page.locator("html").evaluate((e) => ({ width: e.scrollWidth, inner: e.clientWidth }))
      .catch(() => ({ width: 0, inner: 0 }));
    demand(width <= inner, `${look}: ${width} wide on a screen of ${inner}`);
    demand(await page.locator("table").first().isVisible(), `${look}: no table is to be seen`);
    if (shots) await page.screenshot({ path: join(shots, `${name}.${look}.png`), fullPage: true });
    if (look === "scriptless") {
      demand(!(await page.locator("figure").first().isVisible()), "scriptless: an empty figure shows");
    } else {
      demand(await page.evaluate(() => window.hacked === undefined), `${look}: a script of the data ran`);
      const drawn = await page.$$eval("figure", (all) => all.map((f) => {
        const svg = f.querySelector("svg");
        return { marks: svg ? svg.querySelectorAll("path").length : 0, says: f.querySelector(".chart").getAttribute("aria-label") };
      }));
      demand(drawn.length > 0 && drawn.every((d) => d.marks > 1 && d.says), `${look}: not drawn: ${JSON.stringify(drawn)}`);
      const texts = await page.$$eval("svg text", (all) => all.map((t) => t.textContent).join("\n"));
      demand(texts && !/\[object|undefined|NaN/.test(texts), `${look}: labels are ${texts}`);
      // the pointer's box holds names from the data
      for (const chart of await page.locator(".chart").all()) {
        await chart.scrollIntoViewIfNeeded();
        const box = await chart.boundingBox();
        for (const at of [0.1, 0.3, 0.5]) await page.mouse.move(box.x + box.width * 0.45, box.y + box.height * at);
        await page.waitForTimeout(100);
        const tip = await page.locator(".tip").last().evaluate((t) => t.querySelectorAll("img, script, svg").length).catch(() => 0);
        demand(tip === 0, `${look}: a name became elements in a tooltip`);
      }
      demand(await page.evaluate(() => window.hacked === undefined), `${look}: a script of the data ran under the pointer`);
      demand(await page.locator(".tip").count(), `${look}: nothing shows under the pointer`);
    }
    if (look === "light") {
      await page.mouse.move(0, 0);
      const box = page.locator(".legend input:checked").first();
      if (await box.count()) {
        const picture = () => box.evaluate((e) => e.closest("figure").querySelector("svg").innerHTML);
        const before = await picture();
        await box.focus();
        await page.keyboard.press("Space");
        await page.waitForTimeout(100);
        demand(before !== (await picture()), "the space bar switches no series off");
      }
      const summary = page.locator("summary").first();
      await summary.focus();
      await page.keyboard.press("Enter");
      demand(await page.locator("pre").first().isVisible(), "the Enter key shows no SQL");
      const unnamed = await page.$$eval("input, [tabindex]:not(pre), [role=img]", (all) =>
        all.filter((e) => !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent)).length);
      demand(unnamed === 0, `${unnamed} elements have no name for a reader`);
      if (shots) await page.pdf({ path: join(shots, `${name}.pdf`), format: "A4" });
    }
    await context.close();
  }
}
await browser.close();
console.log(faults.length ? faults.join("\n") : `${process.argv.length - 2} pages are fine`);
process.exitCode = faults.length ? 1 : 0;
