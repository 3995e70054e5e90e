/** What a schema says of a value, as a person reads it: the place with dots, and the rule. */

export interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

/** An error of zod, or a list of our own. */
interface Issues {
  issues: readonly Issue[];
}

/**
 * "spec.accounts.sendBurst: must be at least 1"; the rule alone where the value as a whole is
 * wrong.
 */
function issueText({ path, message }: Issue, root: readonly string[] = []): string {
  const place = [...root, ...path].map(String).join(".");
  return place === "" ? message : `${place}: ${message}`;
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
