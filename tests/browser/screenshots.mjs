// Pictures of the main views for the docs: `cargo xtask screenshots`.
import { chromium } from "playwright-core";

const AUDIT = `${process.env.TOWER_AUDIT_VIEWER}/audit`;
const folder = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.TOWER_AUDIT_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu"],
});
for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({
    colorScheme,
    httpCredentials: { username: "alice", password: "demo" },
    viewport: { width: 1200, height: 760 },
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  await page.goto(AUDIT);
  await page.screenshot({ path: `${folder}/list-${colorScheme}.png` });
  await page.locator("#rows a.open").nth(2).click();
  await page.locator("dialog#drawer .facts").waitFor();
  await page.screenshot({ path: `${folder}/detail-${colorScheme}.png` });
  await page.goto(`${process.env.TOWER_AUDIT_CHAT}/audit/view/ai/projects/demo`);
  await page.getByRole("link", { name: "7 days" }).click();
  await page.screenshot({ path: `${folder}/calls-${colorScheme}.png` });
  await context.close();
}
await browser.close();
