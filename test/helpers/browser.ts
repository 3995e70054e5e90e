/**
 * A real browser without a window: Debian's Chromium, driven by playwright, with axe for
 * accessibility.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type { RelayPod } from "./relay-pod.ts";

/** Where screenshots are put for people to look at, if they are wanted. */
export const screenshotFolder = process.env.SCREENSHOTS;

const program = process.env.CHROMIUM || "/usr/bin/chromium";

/** Why there is no browser here, if there is none. */
export const noBrowser = existsSync(program) ? undefined : `${program} is missing: apt-get install chromium`;

/**
 * A browser in the network of a pod, where all that `hosts` names is found. In the network of the
 * tests it would drop what it is loading (ERR_NETWORK_CHANGED) whenever a container of another test
 * comes or goes.
 */
export async function startBrowser(pod: RelayPod, hosts: Readonly<Record<string, string>>): Promise<Browser> {
  if (screenshotFolder) mkdirSync(screenshotFolder, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "browser-"));
  const start = join(folder, "start");
  const words = await pod.inNetwork([program]);
  writeFileSync(start, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, { mode: 0o755 });
  try {
    return await launch(start, hosts);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function launch(executablePath: string, hosts: Readonly<Record<string, string>>): Promise<Browser> {
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${rules.join(",")}`,
    ],
  });
}

export const windows = {
  phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 800 } },
} as const;
export type WindowName = keyof typeof windows;

export interface Look {
  window: WindowName;
  scheme: "light" | "dark";
  language: string;
}

export function openContext(browser: Browser, { window, scheme, language }: Look): Promise<BrowserContext> {
  return browser.newContext({
    ...windows[window],
    colorScheme: scheme,
    locale: language,
    ignoreHTTPSErrors: true,
    javaScriptEnabled: true,
  });
}

export interface Violation {
  id: string;
  help: string;
  where: string[];
}

/** What axe finds wrong, all its rules and its best practices. */
export async function violations(page: Page): Promise<Violation[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe.run;
    const { violations } = await run();
    return violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map(({ html }) => html) }));
  });
  return found;
}

/** Whether something sticks out of the window sideways. */
export function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}
