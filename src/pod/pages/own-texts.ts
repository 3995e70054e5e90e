/**
 * Files `texts.LANGUAGE.json` of the user's own: a language that is not built in, or texts instead
 * of built-in ones. What is wrong in one is left out and named; the rest is used. Pure.
 */
import { isLanguageName, languages } from "./language.ts";
import { counted, inserts, measure, type OwnTexts, pluralCategories } from "./texts.ts";

/** All of them go into the plan, which is one ConfigMap of 1 MiB at most. */
export const mostFiles = 16;
export const mostFileBytes = 32 * 1024;
const mostTextLength = 2000;

/** Where the relay itself answers: a language of that name would have no pages. */
const taken = ["new"];

export interface ReadTexts {
  texts: OwnTexts;
  /** What is left out, and why: "texts.it.json: info.lead must contain {name}". */
  problems: readonly string[];
  /** By language that is not built in, how many texts it has not: these are in English. */
  missing: Readonly<Record<string, number>>;
}

export const isTextsFile = (file: string) => /^texts[.](.*[.])?json$/i.test(file);

export function readTexts(files: Readonly<Record<string, string>>): ReadTexts {
  const names = Object.keys(files).filter(isTextsFile).toSorted();
  const read = names.map((file, index) =>
    index < mostFiles
      ? readFile(file, files[file] ?? "")
      : { problems: [`${file}: there are more than ${mostFiles} files of texts`] },
  );
  const found = read.flatMap(({ language, texts }) => (language && texts ? [[language, texts] as const] : []));
  return {
    texts: Object.fromEntries(found),
    problems: read.flatMap(({ problems }) => problems),
    missing: Object.fromEntries(found.flatMap(([language, texts]) => missingIn(language, texts))),
  };
}

interface ReadFile {
  language?: string;
  texts?: Record<string, string>;
  problems: readonly string[];
}

function readFile(file: string, content: string): ReadFile {
  const wrong = (problem: string): ReadFile => ({ problems: [`${file}: ${problem}`] });
  const language = /^texts[.](.+)[.]json$/.exec(file)?.[1] ?? "";
  if (!isLanguageName(language))
    return wrong("the name must be that of a language in lower case, such as texts.it.json or texts.pt-pt.json");
  if (taken.includes(language)) return wrong(`the relay needs the address /${language} itself`);
  if (Buffer.byteLength(content) > mostFileBytes) return wrong(`is larger than ${mostFileBytes / 1024} KiB`);
  let value: unknown;
  try {
    value = JSON.parse(content.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    return wrong(`is not valid JSON (${thrown instanceof Error ? thrown.message.slice(0, 100) : "?"})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return wrong("must be an object of texts by their names");
  const texts: Record<string, string> = {};
  const problems: string[] = [];
  for (const [key, text] of Object.entries(value)) {
    const problem = problemOf(key, text);
    if (problem === undefined) texts[key] = text as string;
    else problems.push(`${file}: ${key.slice(0, 60)} ${problem}`);
  }
  if (!isBuiltIn(language) && texts["language.name"] === undefined)
    return wrong('language.name is missing: what its readers call the language, such as "Italiano"');
  return { language, texts, problems };
}

const isBuiltIn = (language: string) => (languages as readonly string[]).includes(language);

/** The text of the measure that one of this name must agree with. */
function measureOf(key: string): string | undefined {
  const base = counted.find((each) => pluralCategories.some((category) => key === `${each}.${category}`));
  const name = base === undefined ? key : `${base}.other`;
  return Object.hasOwn(measure, name) ? measure[name] : undefined;
}

/** What is wrong with a text, as the end of a sentence that begins with its name. */
export function problemOf(key: string, text: unknown): string | undefined {
  const like = measureOf(key);
  if (like === undefined) return "is not the name of a text";
  if (typeof text !== "string") return "must be a text";
  if (text.trim() === "") return "must not be empty";
  if (text.length > mostTextLength) return `must not be longer than ${mostTextLength} characters`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return "must not contain line breaks or other control characters";
  if (key === "language.direction" && text !== "ltr" && text !== "rtl") return 'must be "ltr" or "rtl"';
  const [wanted, found] = [insertsIn(like), insertsIn(text)];
  const lacks = wanted.find((each) => !found.includes(each));
  if (lacks !== undefined) return `must contain ${lacks}`;
  const extra = found.find((each) => !wanted.includes(each));
  if (extra !== undefined) return `must not contain ${extra}`;
  return found.length === wanted.length ? undefined : "must contain each insert once";
}

/** `{name}` by its name, and `[a link]` for whatever words. */
export function insertsIn(text: string): string[] {
  return [...text.matchAll(inserts)].map(([whole, name]) => (name === undefined ? "[a link]" : whole));
}

function missingIn(language: string, texts: Readonly<Record<string, string>>): (readonly [string, number])[] {
  // what a wider language has is there, too
  if (isBuiltIn(language.split("-")[0] ?? "")) return [];
  const names = Object.keys(measure).filter(
    (key) => key !== "language.direction" && !counted.some((each) => key === `${each}.one`),
  );
  const count = names.filter((key) => !Object.hasOwn(texts, key)).length;
  return count === 0 ? [] : [[language, count]];
}
