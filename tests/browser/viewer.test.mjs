// The viewer, as a person uses it. `cargo xtask test` starts the quickstart and the example `ai-chat`, each with what it makes up, and says where
// they are.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

const ORIGIN = process.env.TOWER_AUDIT_VIEWER;
const AUDIT = `${ORIGIN}/audit`;
const CHAT = process.env.TOWER_AUDIT_CHAT;
const CALLS = `${CHAT}/audit/view/ai`;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let context;
let page;
let complaints;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.TOWER_AUDIT_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
});
after(() => browser.close());

/** A page of its own for whoever is signed in; everything that a browser complains about is kept. */
const open = async (options = {}) => {
  context = await browser.newContext({
    httpCredentials: { username: "alice", password: "demo" },
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "America/New_York",
    acceptDownloads: true,
    ...options,
  });
  page = await context.newPage();
  complaints = [];
  page.on("console", (message) => {
    // The first answer asks for a password, as it should.
    const isChallenge = message.text().includes("401 (Unauthorized)");
    if (["error", "warning"].includes(message.type()) && !isChallenge) complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (![ORIGIN, CHAT].some((origin) => request.url().startsWith(origin))) complaints.push(`request to ${request.url()}`);
  });
};
beforeEach(() => open());
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []);
});

const rows = () => page.locator("#rows tr.row");
const search = async (text) => {
  await page.fill("#q", text);
  await page.press("#q", "Enter");
  await page.waitForURL((url) => url.searchParams.get("q") === text);
};
/** Does something that leaves a row. */
const create = async (name) => {
  const answer = await fetch(`${ORIGIN}/projects`, {
    method: "POST",
    headers: { authorization: "Bearer demo-newcomer", "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  assert.equal(answer.status, 201);
};

test("a search narrows the table, and its address can be shared", async () => {
  await page.goto(AUDIT);
  const all = await rows().count();
  await search("outcome:denied actor:bob");
  const found = await rows().count();
  assert.ok(found > 0 && found < all);
  for (const text of await page.locator("#rows .outcome .badge").allTextContents()) assert.equal(text, "denied");
  const shared = page.url();
  await open();
  await page.goto(shared);
  assert.equal(await rows().count(), found);
});

test("the search box offers keys, words and the values that are there", async () => {
  await page.goto(AUDIT);
  const offered = async (text, expected) => {
    await page.fill("#q", text);
    await page.locator(`#words option[value='${expected}']`).waitFor({ state: "attached" });
    return page.locator("#words option").evaluateAll((all) => all.map((option) => option.value));
  };
  assert.ok((await offered("out", "outcome:denied")).includes("outcome:"));
  await offered("outcome:denied -act", "outcome:denied -actor:");
  const actors = await offered("outcome:denied actor:", "outcome:denied actor:bob");
  assert.ok(actors.every((text) => text.startsWith("outcome:denied actor:")));
  await offered("actor:alice,b", "actor:alice,bob");
  await offered('name:', 'name:"Carol Cheng"');
});

test("a click on a value filters by it, and the chip takes the filter away", async () => {
  await page.goto(`${AUDIT}?q=`);
  await page.locator("#rows .who a", { hasText: "Carol Cheng" }).first().click();
  await page.waitForURL((url) => url.searchParams.get("q") === "actor:carol");
  for (const text of await page.locator("#rows .who a").allTextContents()) assert.equal(text, "Carol Cheng");
  await page.getByLabel("Remove actor:carol").click();
  await page.waitForURL((url) => url.searchParams.get("q") === "");
});

test("a search that is not understood is explained where it is wrong", async () => {
  await page.goto(AUDIT);
  await search("actor:bob oucome:denied");
  assert.equal(await page.locator("mark").textContent(), "oucome");
  assert.match(await page.getByRole("alert").textContent(), /did you mean `outcome`\?/);
  // The browser says that the answer was a 400; nobody else complains.
  complaints = complaints.filter((text) => !text.includes("400 (Bad Request)"));
});

test("a row opens in a drawer, and closing it returns to the row", async () => {
  await page.goto(AUDIT);
  const first = page.locator("#rows a.open").first();
  await first.click();
  const drawer = page.locator("dialog#drawer");
  await drawer.waitFor({ state: "visible" });
  assert.ok((await drawer.locator(".facts div").count()) > 10);
  assert.match(await drawer.locator(".json").first().textContent(), /"plan"/);
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "hidden" });
  assert.ok(await first.evaluate((link) => link === document.activeElement));
});

test("an event has a page of its own, with what the actor did around it", async () => {
  await page.goto(`${AUDIT}?q=actor:bob`);
  await page.goto(await page.locator("#rows a.open").nth(3).evaluate((link) => link.href));
  assert.ok((await page.locator("table.related tr").count()) > 0);
  await page.getByText("Back to the events").click();
  await page.waitForURL((url) => url.searchParams.get("q") === "actor:bob");
});

test("the live tail shows what happens now, and can be paused", async () => {
  await page.goto(`${AUDIT}?q=actor:newcomer`);
  await page.click("#live");
  await page.getByText("waiting for events").waitFor();
  await create("apollo");
  await page.locator("#rows tr.new").first().waitFor();
  assert.equal(await page.locator("#rows tr.new .what").first().textContent(), "project.create");
  const shown = await rows().count();
  await page.click("#live");
  assert.equal(await page.locator("#live-state").textContent(), "paused");
  await create("unseen");
  // Another look finds it; the paused page does not.
  const other = await context.newPage();
  await other.goto(`${AUDIT}?q=actor:newcomer`);
  while ((await other.locator("#rows tr.row").count()) <= shown) await other.reload();
  assert.equal(await rows().count(), shown);
});

test("an export is what the search shows", async () => {
  await page.goto(`${AUDIT}?q=outcome:failure+created:..2026-01-01,2026..`);
  await page.getByText("Export", { exact: true }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "JSON Lines" }).click(),
  ]);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  const exported = lines.map((line) => JSON.parse(line).id);
  const shown = [];
  for (;;) {
    shown.push(...(await rows().evaluateAll((all) => all.map((row) => row.dataset.id))));
    const older = page.getByRole("link", { name: "Older" });
    if ((await older.count()) === 0) break;
    await older.click();
    await page.waitForLoadState();
  }
  assert.ok(shown.length > 10);
  assert.deepEqual(exported, shown);
});

test("the keyboard is enough", async () => {
  await page.goto(AUDIT);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const at = () => page.evaluate(() => [...document.querySelectorAll("#rows a.open")].indexOf(document.activeElement));
  assert.equal(await at(), 1);
  await page.keyboard.press("k");
  assert.equal(await at(), 0);
  await page.keyboard.press("Enter");
  await page.locator("dialog#drawer").waitFor({ state: "visible" });
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  await page.keyboard.type("outcome:failure");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("q") === "outcome:failure");
});

test("times are those of whoever looks", async () => {
  await page.goto(AUDIT);
  assert.equal(await page.locator("#zone").textContent(), "(America/New_York)");
  const time = page.locator("#rows time").first();
  const utc = new Date(await time.getAttribute("datetime"));
  const expected = new Intl.DateTimeFormat("sv-SE", {
    timeZone: "America/New_York", dateStyle: "short", timeStyle: "medium",
  }).format(utc);
  assert.equal(await time.textContent(), expected);
});

test("a bar of the histogram zooms in", async () => {
  await page.goto(`${AUDIT}?q=created:-7d..`);
  const before = await rows().count();
  // A bar is as high as it has to be: its link is followed by its address.
  const bar = page.locator(".chart a:has(rect.success)").first();
  await page.goto(new URL(await bar.getAttribute("href"), page.url()).href);
  const found = await rows().count();
  assert.ok(found > 0 && found < before);
});

test("without a script everything but the live tail is there", async () => {
  await context.close();
  await open({ javaScriptEnabled: false });
  await page.goto(AUDIT);
  assert.ok((await rows().count()) > 0);
  assert.ok(await page.locator("#live").isHidden());
  await page.fill("#q", "actor:bob");
  await page.click("button[type=submit]");
  await page.waitForURL((url) => url.searchParams.get("q") === "actor:bob");
  await page.getByText("Most frequent", { exact: true }).click();
  await page.getByRole("link", { name: "action", exact: true }).click();
  assert.ok((await page.locator(".top-values li").count()) > 3);
  await page.locator("#rows a.open").first().click();
  await page.waitForURL(/\/view\//);
  assert.ok((await page.locator(".facts div").count()) > 10);
});

test("a phone shows rows as cards, with nothing cut off", async () => {
  await context.close();
  await open({ viewport: { width: 375, height: 700 } });
  await page.goto(AUDIT);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 375, `${width}`);
  assert.ok(await page.locator("#rows .what").first().isVisible());
});

test("what calls cost is drawn by day, and leads to what one of them thought", async () => {
  await page.goto(CALLS);
  await page.getByRole("link", { name: "demo", exact: true }).click();
  assert.ok((await page.locator(".chart.cost rect.cost").count()) >= 30);
  assert.ok((await page.getByRole("region", { name: "By model" }).locator("tbody tr").count()) >= 3);
  await page.getByRole("link", { name: "7 days" }).click();
  await page.waitForURL((url) => url.searchParams.has("from"));
  const answered = page.getByRole("region", { name: "Recent calls" }).locator("tr", { hasText: "completed" });
  await answered.last().getByRole("link").click();
  await page.getByRole("heading", { level: 1 }).getByText("completed").waitFor();
  assert.ok((await page.locator(".facts div").count()) > 8);
  await page.getByText("← demo").click();
  await page.getByRole("heading", { level: 1, name: "demo" }).waitFor();
});

test("an event leads to the calls that it made, and they lead back", async () => {
  const answer = await fetch(`${CHAT}/projects/demo/chat`, {
    method: "POST",
    headers: { authorization: "Bearer demo-browser", "content-type": "application/json" },
    body: JSON.stringify({ text: "one two" }),
  });
  const message = answer.headers.get("x-message-id");
  assert.match(await answer.text(), /data: two/);
  const found = page.locator("#rows a.open");
  while ((await found.count()) === 0) await page.goto(`${CHAT}/audit?q=actor:browser action:chat.ask`);
  await page.goto(await found.first().evaluate((link) => link.href));
  await page.getByRole("region", { name: "Calls of models that it made" }).getByRole("link", { name: message }).click();
  await page.getByRole("heading", { name: "What it thought" }).waitFor();
  await page.locator("table.related a.open").click();
  await page.waitForURL(/\/view\/[0-9a-f-]{36}/);
});

test("a phone shows what calls cost, with nothing cut off", async () => {
  await context.close();
  await open({ viewport: { width: 375, height: 700 } });
  const call = `${CALLS}/calls/msg_demo_0598`;
  for (const url of [CALLS, `${CALLS}/projects/demo`, call]) {
    await page.goto(url);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 375, `${url}: ${width}`);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious (${colorScheme})`, async () => {
    await context.close();
    await open({ colorScheme });
    await page.goto(`${AUDIT}?q=`);
    const detail = await page.locator("#rows a.open").first().evaluate((link) => link.href);
    const calls = [CALLS, `${CALLS}/projects/demo`, `${CALLS}/calls/msg_demo_0598`];
    for (const url of [`${AUDIT}?q=`, `${AUDIT}?q=outcome:denied&top=actor`, `${AUDIT}?q=actor:nobody`, detail, ...calls]) {
      await page.goto(url);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
      assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html).slice(0, 3)]), [], url);
    }
  });
}
