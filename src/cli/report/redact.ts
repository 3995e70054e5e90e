/**
 * Takes out of a report what names people or opens something: addresses, tokens, keys, passwords.
 * The same text becomes the same mark throughout a report, so that lines can still be told
 * together. Pure but for what it remembers.
 */

/** Of names of fields whose value is never shown. */
const secretField = /pass(word|wd)?$|secret$|token$|private.?key|credential|authorization/i;
/** Names of objects are no secrets. */
const nameOfObject = /(name|ref|seconds|count|size)$/i;

export class Redactor {
  readonly #marks = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  #mark(kind: string, text: string): string {
    const key = `${kind} ${text.toLowerCase()}`;
    const known = this.#marks.get(key);
    if (known !== undefined) return known;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const mark = `<${kind}-${number}>`;
    this.#marks.set(key, mark);
    return mark;
  }

  /** Of any text: a message, a line of a log. */
  text(text: string): string {
    return rules.reduce(
      (so, { kind, pattern }) =>
        so.replaceAll(pattern, (...found: unknown[]) => {
          const groups = found.at(-1) as { before?: string; it?: string };
          return `${groups.before ?? ""}${this.#mark(kind, groups.it ?? "")}`;
        }),
      text,
    );
  }

  /** Of an object, at any depth; secrets by the names of their fields. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => {
        const isSecret = secretField.test(name) && !nameOfObject.test(name) && typeof field === "string";
        return [this.text(name), isSecret ? this.#mark("secret", field) : this.value(field)];
      }),
    );
  }
}

/** In this order: what holds another kind within it comes first. Each has the groups before and it. */
const rules = [
  {
    kind: "key",
    pattern: /(?<before>)(?<it>-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))/g,
  },
  { kind: "token", pattern: /(?<before>\b(?:Bearer|Basic) +)(?<it>[A-Za-z0-9+/=._~-]{6,})/g },
  { kind: "token", pattern: /(?<before>)(?<it>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)/g },
  { kind: "invite", pattern: /(?<before>(?:\/i\/|\/new\?i=))(?<it>[A-Za-z0-9_-]{8,128})/g },
  {
    kind: "secret",
    pattern: /(?<before>\b(?:password|passwd|pass|secret|token)["']?\s*[=:]\s*["']?)(?<it>[^\s"'&,;<>{}]{4,})/gi,
  },
  { kind: "hash", pattern: /(?<before>)(?<it>\$(?:5|6|2[aby]|y|argon2id?)\$[^\s"',;]+)/g },
  // a local part and its domain: the domain is kept, for it says where mail goes
  {
    kind: "address",
    pattern: /(?<before>)(?<it>(?:"[^"\n]+"|[^\s<>"'(),;:=[\]{}\\/]+)(?=(?:@|%40)(?!sha\d+:)[A-Za-z0-9_[]))/g,
  },
  {
    kind: "ip",
    pattern: /(?<before>)(?<it>\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b(?![.\d]))/g,
  },
  {
    kind: "ip",
    pattern:
      /(?<before>)(?<it>(?<![:.\w])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|(?:[0-9a-f]{1,4}:){1,7}:|::(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4})(?![:\w]))/gi,
  },
] as const;
