/**
 * What the pages for administrators say, held against the code: every reason has an entry, every
 * label and record is described, samples are valid, commands are run or say why they can't be.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { kinds } from "../../src/api/kinds.ts";
import { annotations, chatmailServer, keepAnnotations, labels, shownLabels } from "../../src/api/names.ts";
import { type Reason, reasons, whoActs } from "../../src/api/reasons.ts";
import { writtenIssues } from "../../src/api/resolve.ts";
import { recordsOf } from "../../src/dns/records.ts";
import { operatorHelp } from "../../src/operator/metrics.ts";
import { rsaKey } from "../../src/pod/dkim.ts";
import { relayHelp } from "../../src/relay/metrics.ts";
import { type Block, blocksOf } from "../helpers/docs.ts";

const root = resolve(import.meta.dirname, "../..");
const textOf = (page: string) => readFileSync(join(root, page), "utf8");
const pages = globSync(["*.md", "docs/**/*.md"], { cwd: root, exclude: ["docs/decisions/**"] }).sort();
const firstCells = (text: string) => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = ""]) => cell);

describe("troubleshooting", () => {
  const page = textOf("docs/troubleshooting.md");
  const all = Object.keys(reasons) as Reason[];
  const [entries = "", nothing = ""] = page.split("## Nothing to do");

  test("has one entry for each reason for which somebody has to act or wait, and no other", () => {
    const headings = [...entries.matchAll(/^### (.*)$/gm)].map(([, heading = ""]) => heading);
    expect(headings.sort()).toEqual(all.filter((reason) => whoActs(reason) !== undefined).sort());
  });

  test("says of each what it means, how to look and what to do", () => {
    const incomplete = entries
      .split(/^### /m)
      .slice(1)
      .filter((entry) => !/^\w+\n\n\S[\s\S]*\n- \*\*Look:\*\* [\s\S]*\n- \*\*Cure:\*\* /.test(entry))
      .map((entry) => entry.split("\n")[0]);
    expect(incomplete).toEqual([]);
  });

  test("lists the others", () => {
    expect(firstCells(nothing).sort()).toEqual(all.filter((reason) => whoActs(reason) === undefined).sort());
  });
});

describe("labels and annotations", () => {
  test("each is described, and no other", () => {
    const known = [labels, annotations].flatMap((each) => Object.values(each));
    const names = [...known, ...Object.keys(shownLabels("", "")), ...Object.keys(keepAnnotations)];
    expect(firstCells(textOf("docs/labels-and-annotations.md")).sort()).toEqual(names.sort());
  });
});

describe("DNS", () => {
  const rows = [...textOf("docs/dns.md").matchAll(/^\| `([^`]+)` \| (\w+) \| (\w+) \|/gm)].map(
    ([, name = "", type, need]) => `${name} ${type} ${need}`,
  );

  test("each record is described with its need, and no other", () => {
    const keys = [{ selector: rsaKey.selector, key: { type: "rsa" as const, base64: "MIIB" } }];
    const addresses = ["203.0.113.9", "2001:db8::9"];
    const records = recordsOf({
      domain: "nine.example.org",
      addresses,
      keys,
      mtaStsPolicy: "version: STSv1",
      issuer: { domain: "ca.example" },
      tlsKeys: ["ab"],
    });
    const short = (name: string) => name.replace(/nine\.example\.org\.$/, "D");
    const wanted = records.map(({ name, type, need }) => `${short(name)} ${type} ${need}`);
    expect(rows.sort()).toEqual([...new Set(wanted)].sort());
  });
});

test("monitoring names only metrics that exist", () => {
  const known = [...Object.keys(operatorHelp), ...Object.keys(relayHelp)];
  const named = [...textOf("docs/monitoring.md").matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = ""]) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !known.includes(name))).toEqual([]);
});

test("every metric of the code has its line on the page of metrics", () => {
  const known = [...Object.keys(operatorHelp), ...Object.keys(relayHelp)];
  const sources = globSync("src/**/*.ts", { cwd: root }).map(textOf).join("\n");
  const used = [...sources.matchAll(/\.(?:counter|histogram|gauge|count)\(\s*"([a-z]+(?:_[a-z]+)+)"/g)];
  const names = used.map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(15);
  expect([...new Set(names)].filter((name) => !known.includes(name))).toEqual([]);
});

test("the index names every page", () => {
  const index = textOf("docs/README.md");
  const others = pages.filter((page) => page.startsWith("docs/") && page !== "docs/README.md");
  expect(others.filter((page) => !index.includes(`(${page.slice("docs/".length)})`))).toEqual([]);
});

const blocks = pages.flatMap((page) => blocksOf(page, textOf(page)));
const named = (of: Block) => `${of.page}:${of.line}`;

describe("commands", () => {
  const commands = blocks.filter(({ language }) => ["sh", "bash", "console"].includes(language));

  test("each block is run by a test, or says why it can't be", () => {
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter(({ runBy, notRun }) => !runBy && !notRun).map(named)).toEqual([]);
  });

  test("the test that runs a block exists, and names its page", () => {
    const runners = commands.flatMap((block) =>
      block.runBy ? [{ block, file: block.runBy.split(",")[0] ?? "" }] : [],
    );
    const wrong = runners.filter(
      ({ block, file }) => !existsSync(join(root, file)) || !textOf(file).includes(`"${block.page}"`),
    );
    expect(wrong.map(({ block, file }) => `${named(block)} by ${file}`)).toEqual([]);
  });
});

describe("samples", () => {
  interface Sample {
    kind?: string;
    spec?: Record<string, unknown>;
  }
  const samples = blocks
    .filter(({ language }) => language === "yaml")
    .flatMap((block) => parseAllDocuments(block.text).map((each) => ({ block, object: each.toJS() as Sample })));

  /** What has no kind is a part of a server. */
  function problemOf({ kind: name = chatmailServer.kind, spec }: Sample): string | undefined {
    const kind = kinds.find((each) => each.kind === name);
    if (!kind || !spec) return undefined;
    const domain = name === chatmailServer.kind ? { domain: "nine.example.org" } : {};
    const issues = writtenIssues(kind.spec as typeof ChatmailServerSpec, { ...domain, ...spec });
    return issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ") || undefined;
  }

  test("each is YAML, and the spec of our kinds is valid", () => {
    const problems = samples.flatMap(({ block, object }) => {
      const problem = problemOf(object);
      return problem ? [`${named(block)}: ${problem}`] : [];
    });
    expect(samples.length).toBeGreaterThan(8);
    expect(problems).toEqual([]);
  });
});

test("figures are cited from files that exist", () => {
  const cited = pages.flatMap((page) =>
    [...textOf(page).matchAll(/`(bench\/results\/[\w.-]+)`/g)].map(([, file]) => file),
  );
  expect(cited.length).toBeGreaterThan(4);
  expect(
    cited.filter((file) => file === undefined || !existsSync(join(root, file))).map((file) => basename(file ?? "")),
  ).toEqual([]);
});
