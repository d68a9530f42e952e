// A real browser (Chromium), led through pages: `node browser.mjs '{"url": URL, "steps": [{"fill": {CSS: TEXT}, "click": CSS}, ...]}'`.
// Each step waits for its elements, acts, and waits until another page is there. Prints, as JSON, where it then was, what
// the page says, what the browser's console complained of, and the cookies that it keeps at the end.
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const LONGEST_MS = 30_000;

const { url, steps } = JSON.parse(process.argv[2]);
chromium.setGraphicsMode = false;
const browser = await puppeteer.launch({
  args: [...chromium.args, "--no-sandbox"],
  executablePath: await chromium.executablePath(),
  headless: "shell",
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(LONGEST_MS);
  const pages = [];
  const complaints = [];
  page.on("console", (said) => ["error", "warn"].includes(said.type()) && complaints.push(`${page.url()}: ${said.text()}`));
  const look = async () => pages.push({ url: page.url(), text: await page.evaluate(() => document.body.innerText) });
  await page.goto(url, { waitUntil: "load" });
  await look();
  for (const { fill = {}, click } of steps) {
    await page.waitForSelector(click);
    for (const [field, text] of Object.entries(fill)) await page.type(field, text);
    await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(click)]);
    await look();
  }
  const cookies = (await browser.cookies()).map(({ name, domain, httpOnly, secure, sameSite }) => ({
    name,
    domain,
    httpOnly,
    secure,
    sameSite,
  }));
  console.log(JSON.stringify({ pages, complaints, cookies }));
} catch (error) {
  const [page] = (await browser.pages()).slice(-1);
  console.error(`${error.message}; at ${page.url()}: ${await page.content()}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
