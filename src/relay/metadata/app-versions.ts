/**
 * The newest versions of clients, as clients ask for them (chatmail protocol §13.1). Checked here:
 * one wrong type makes a client drop the whole, and a misspelt name is a default that nobody meant.
 * Pure.
 */

const maxBytes = 32_768;
/** A link in an app must not lead people anywhere else. */
const downloadsFrom = ["https://github.com/deltachat/", "https://download.delta.chat/"];

/** The JSON on one line, or what is wrong with it. */
export function appVersions(text: string): { line: string } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: "not JSON" };
  }
  const problem = problemOf(value);
  if (problem !== undefined) return { problem };
  const line = lineOf(value);
  if (line === undefined) return { problem: "nested too deeply" };
  return Buffer.byteLength(line) > maxBytes ? { problem: `more than ${maxBytes} bytes` } : { line };
}

/** What can be read is not always what can be written: V8 writes recursively. */
function lineOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

type Check = (value: unknown, at: string) => string | undefined;

const text: Check = (value, at) => (typeof value === "string" && value !== "" ? undefined : `${at} must be a text`);

const versionInteger: Check = (value, at) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32
    ? undefined
    : `${at} must be a whole number below 2^32`;

const downloadUrl: Check = (value, at) =>
  downloadsFrom.some((start) => String(value).startsWith(start))
    ? undefined
    : `${at} must begin with ${downloadsFrom.join(" or ")}`;

function object(required: Record<string, Check>, optional: Record<string, Check> = {}): Check {
  return (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return `${at} must be an object`;
    const checks = { ...required, ...optional };
    const unknown = Object.keys(value).find((name) => !Object.hasOwn(checks, name));
    if (unknown !== undefined) return `${at} has an unknown ${unknown}`;
    const entries = value as Record<string, unknown>;
    return Object.entries(checks)
      .filter(([name]) => name in required || entries[name] !== undefined)
      .map(([name, check]) => check(entries[name], `${at}.${name}`))
      .find((problem) => problem !== undefined);
  };
}

/** A list whose entries differ in the field `by`: clients take the first. */
function listOf(entry: Check, by: string): Check {
  return (value, at) => {
    if (!Array.isArray(value)) return `${at} must be a list`;
    const problem = value.map((each, index) => entry(each, `${at}[${index}]`)).find((each) => each !== undefined);
    if (problem !== undefined) return problem;
    const names = value.map((each) => (each as Record<string, unknown>)[by]);
    return new Set(names).size === names.length ? undefined : `${at} has the same ${by} twice`;
  };
}

const source = object({ sourceId: text, versionInteger, versionString: text }, { downloadUrl });
const client = object({ clientId: text, sources: listOf(source, "sourceId") });

function problemOf(value: unknown): string | undefined {
  return object({ clients: listOf(client, "clientId") })(value, "appversions");
}
