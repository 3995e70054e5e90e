/**
 * The pages for people: links lead somewhere, decisions are numbered, files that they name are
 * there, prose is not too wide.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const pages = globSync(["*.md", "docs/**/*.md", "examples/**/*.md", "charts/**/*.md"], { cwd: root });
const decisions = pages.filter((page) => /decisions\/\d{4}-/.test(page)).sort();
const textOf = (page: string) => readFileSync(join(root, page), "utf8");
const sources = globSync(["*.ts", "{src,test,scripts,bench,image}/**/*"], { cwd: root });
const isGenerated = (page: string) => textOf(page).startsWith("<!-- Written by npm run generate");

/** Without code blocks. */
const proseOf = (page: string) => textOf(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
/** As GitHub makes them of headings. */
const anchorsOf = (page: string) =>
  [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
      .replaceAll(" ", "-"),
  );

describe.each(pages)("%s", (page) => {
  test("has no dead link", () => {
    const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const dead = links.filter((link) => {
      if (/^(https?|mailto):/.test(link)) return false;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  test("has a target for each link by reference, and none that nothing refers to", () => {
    const prose = proseOf(page).replaceAll(/`[^`]*`/g, "");
    const targets = [...prose.matchAll(/^\[([^\]\n]+)\]:(.*)$/gm)];
    const references = [...prose.matchAll(/\]\[([^\]]+)\]/g)].map(([, name = ""]) => name.replaceAll(/\s+/g, " "));
    expect(targets.filter(([, , target = ""]) => !/^ (https:|\.|[\w-]+)/.test(target)).map(([line]) => line)).toEqual(
      [],
    );
    expect(new Set(references)).toEqual(new Set(targets.map(([, name]) => name)));
  });

  test("has each heading and each long paragraph once", () => {
    const path: string[] = [];
    const headings = [...proseOf(page).matchAll(/^(#+) (.*)$/gm)].map(([, { length: depth } = "", text = ""]) => {
      path.splice(depth - 1, path.length, text);
      return path.join(" / ");
    });
    const paragraphs = proseOf(page)
      .split(/\n\s*\n/)
      .filter(({ length }) => length > 200);
    const all = [...headings, ...paragraphs];
    expect(all.filter((each, at) => all.indexOf(each) !== at)).toEqual([]);
  });

  test("names no file of the project that is not there", () => {
    const named = [...proseOf(page).matchAll(/`([\w./-]+\.(?:ts|lua|sed|c))`/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !sources.some((path) => path === name || path.endsWith(`/${name}`)))).toEqual([]);
  });

  // tables of sentences, as long as they are
  if (isGenerated(page)) return;
  test("has prose of 100 columns", () => {
    const wide = (line: string) =>
      line.length > 100 && !/^\s*(\||<!--|!\[|\[[^\]]+\]: )/.test(line) && !/^ {4}/.test(line);
    expect(proseOf(page).split("\n").filter(wide)).toEqual([]);
  });
});

/** What stands on lines of its own; a word that is longer than a line can't be broken. */
const commentLine = (file: string) =>
  file.startsWith("image/") ? /^\s*(#|--) .*\S\s+\S/ : /^\s*(\/\/|\/?\*+) .*\S\s+\S/;

test("comments are no wider than prose", () => {
  const files = globSync("{src,test,bench,scripts,image}/**", {
    cwd: root,
    exclude: ["test/fixtures/**", "bench/results/**"],
  });
  const sources = files.filter((file) => /\.(ts|mjs|lua)$|^image\/[^.]*$/.test(file) && !file.includes("node_modules"));
  expect(sources.length).toBeGreaterThan(400);
  const wide = sources.flatMap((file) =>
    textOf(file)
      .split("\n")
      .filter((line) => line.length > 100 && commentLine(file).test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(wide).toEqual([]);
});

test("decisions are numbered without gaps, and begin with their number", () => {
  const numbers = decisions.map((page) => basename(page).slice(0, 4));
  expect(numbers).toEqual(numbers.map((_, at) => String(at + 1).padStart(4, "0")));
  const untitled = decisions.filter(
    (page) => !new RegExp(`^# ${basename(page).slice(0, 4)}: [^a-z]`).test(textOf(page)),
  );
  expect(untitled).toEqual([]);
});

test("every decision that is cited is there", () => {
  const numbers = decisions.map((page) => basename(page).slice(0, 4));
  const texts = [...pages, ...globSync(["{src,test,scripts,bench,image}/**/*.{ts,lua,sed}"], { cwd: root })];
  const dead = texts.flatMap((path) =>
    [...textOf(path).matchAll(/\bdecisions? (\d+(?:(?:, | and )\d+)*)/gi)]
      .flatMap(([, cited = ""]) => cited.split(/, | and /))
      .filter((number) => !numbers.includes(number))
      .map((number) => `${path}: ${number}`),
  );
  expect(dead).toEqual([]);
});

test("every section of the chatmail protocol that is cited is there", () => {
  const sections = [...textOf("docs/chatmail-protocol.md").matchAll(/^#+ (\d+(?:\.\d+)?)\.? /gm)].map(
    ([, number]) => number,
  );
  const texts = globSync(["{src,test,scripts,bench,image}/**/*.{ts,lua,sed}"], { cwd: root });
  const dead = texts.flatMap((path) =>
    [...textOf(path).matchAll(/chatmail protocol ((?:(?:, | to )?§[\d.]*\d)+)/g)]
      .flatMap(([, cited = ""]) => [...cited.matchAll(/§([\d.]*\d)/g)].map(([, number]) => number))
      .filter((number) => !sections.includes(number))
      .map((number) => `${path}: §${number}`),
  );
  expect(dead).toEqual([]);
});
