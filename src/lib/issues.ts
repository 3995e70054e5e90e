/** What a schema says of a value, as a person reads it: the place with dots, and the rule. */

export interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

/** An error of zod, or a list of our own. */
interface Issues {
  issues: readonly Issue[];
}

/** Zod's words for a field that is not there. */
const absent = /^Invalid input: expected .+, received undefined$/;

/**
 * "spec.accounts.sendBurst: must be at least 1"; the rule alone where the value as a whole is
 * wrong.
 */
function issueText({ path, message }: Issue, root: readonly string[] = []): string {
  const place = [...root, ...path].map(String).join(".");
  const says = absent.test(message) ? "is missing" : message;
  return place === "" ? says : `${place}: ${says}`;
}

/** All of them, in one line. */
export function issueTexts({ issues }: Issues, root: readonly string[] = []): string {
  return issues.map((issue) => issueText(issue, root)).join("; ");
}

/** The first of them: what else is wrong often follows from it. */
export function firstIssue({ issues }: Issues): string {
  const [issue] = issues;
  return issue ? issueText(issue) : "not understood";
}
