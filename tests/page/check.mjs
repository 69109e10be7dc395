// Opens an HTML report in a headless Chromium: light and dark, wide and narrow, and by keyboard alone.
//   node check.mjs REPORT.html FOLDER
// Pictures go into FOLDER, to be looked at. What a program can tell is told here: requests, errors, what sticks out of a
// narrow screen, contrast and names by axe-core, and what the keyboard reaches.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [report, folder] = process.argv.slice(2);
if (!report || !folder) throw new Error("usage: node check.mjs REPORT.html FOLDER");
const require = createRequire(join(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const address = pathToFileURL(resolve(report)).href;
const SCREENS = [
    ["wide", { width: 1280, height: 900 }],
    ["narrow", { width: 360, height: 740 }],
];
const failures = [];
let pictures = 10;
const fail = (what) => failures.push(what);

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
});

/// A page that says what it asks for and what goes wrong. The page's own policy forbids axe-core, which comes after the rest.
async function open(options) {
    const context = await browser.newContext({ bypassCSP: true, ...options });
    const page = await context.newPage();
    page.on("request", (request) => request.url() === address || fail(`it asks for ${request.url()}`));
    page.on("console", (message) => message.type() === "error" && fail(`console: ${message.text()}`));
    page.on("pageerror", (error) => fail(`error: ${error}`));
    await page.goto(address);
    return page;
}

for (const colorScheme of ["light", "dark"]) {
    for (const [screen, viewport] of SCREENS) {
        const name = `${colorScheme}-${screen}`;
        const page = await open({ colorScheme, viewport });
        await page.screenshot({ path: join(folder, `${name}.png`) });
        const openAll = () => document.querySelectorAll("details").forEach((details) => (details.open = true));
        await page.evaluate(openAll);
        await page.screenshot({ path: join(folder, `${name}-unfolded.png`), fullPage: true });
        for (const [part, selector] of [["claim", ".said"], ["pair", ".pair"]]) {
            const place = page.locator(selector).first();
            if ((await place.count()) === 0) continue;
            await place.evaluate((element) => element.scrollIntoView({ block: "center", behavior: "instant" }));
            await page.screenshot({ path: join(folder, `${name}-${part}.png`) });
            pictures += 1;
        }
        const [inside, outside] = await page.evaluate(() => [
            document.documentElement.clientWidth,
            document.documentElement.scrollWidth,
        ]);
        if (outside > inside) fail(`${name}: ${outside} pixels wide on a screen of ${inside}`);
        const cutOff = await page.locator(".said article").evaluateAll(
            (claims) => claims.filter((claim) => claim.getBoundingClientRect().right > innerWidth).length,
        );
        if (cutOff > 0) fail(`${name}: ${cutOff} claims in the diff stick out of the screen`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "best-practice"] }));
        for (const { id, help, nodes } of violations) {
            fail(`${name}: ${id}: ${help}, ${nodes.length} times, as in ${nodes[0].html.slice(0, 120)}: ${nodes[0].failureSummary}`);
        }
        await page.context().close();
    }
}

// By keyboard alone, from the top.
// Without motion, since focus is looked at before a smooth scroll would end.
const page = await open({ viewport: SCREENS[0][1], reducedMotion: "reduce" });
const focused = () =>
    page.evaluate(() => {
        const element = document.activeElement;
        const box = element.getBoundingClientRect();
        const style = getComputedStyle(element);
        return {
            tag: element.tagName,
            text: element.textContent.trim().slice(0, 40),
            isSeen: box.width > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight,
            hasRing: style.outlineStyle !== "none",
            isOpen: element.parentElement?.open ?? null,
        };
    });
await page.keyboard.press("Tab");
const first = await focused();
if (first.tag !== "A" || !first.isSeen) fail(`the first stop is ${first.tag} “${first.text}”, seen: ${first.isSeen}`);
await page.screenshot({ path: join(folder, "keyboard-first.png") });
const stops = await page.locator("a[href], summary, [tabindex='0']").evaluateAll(
    (elements) => elements.filter((element) => element.checkVisibility()).length,
);
let reached = 1;
let toggled = 0;
for (; reached < stops; reached++) {
    await page.keyboard.press("Tab");
    const stop = await focused();
    if (stop.tag === "BODY") break;
    if (!stop.isSeen || !stop.hasRing) fail(`focus on ${stop.tag} “${stop.text}” is not to be seen`);
    if (stop.tag === "SUMMARY" && toggled < 3) {
        await page.keyboard.press("Enter");
        const after = await focused();
        if (after.isOpen === stop.isOpen) fail(`Enter does not fold “${stop.text}”`);
        if (toggled === 0) await page.screenshot({ path: join(folder, "keyboard-open.png") });
        await page.keyboard.press("Enter");
        toggled += 1;
    }
}
if (reached < stops) fail(`the keyboard reaches ${reached} of ${stops} stops`);
if (toggled === 0) fail("the report has nothing that folds: choose a change with facts");

await browser.close();
console.log(`${folder}: ${pictures} pictures, ${stops} stops by keyboard, ${failures.length} failures`);
failures.forEach((failure) => console.log(`  ${failure}`));
process.exit(failures.length === 0 ? 0 : 1);
