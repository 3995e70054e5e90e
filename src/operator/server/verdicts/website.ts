import type { Verdict } from "../progress.ts";
import type { SeenFiles } from "../seen.ts";

export function websiteVerdict({ pages, appVersions }: SeenFiles): Verdict {
  const problems = [pages?.problem, appVersions?.problem].filter((problem) => problem !== undefined);
  if (problems.length > 0) return { status: "False", reason: "WebsiteMissing", message: problems.join(". ") };
  if (pages?.textsProblem !== undefined)
    return { status: "False", reason: "WebsiteTextsInvalid", message: pages.textsProblem };
  const names = [pages, appVersions].flatMap((each) => each?.configMapName ?? []);
  return {
    status: "True",
    reason: "WebsiteServed",
    message: [`from ConfigMap ${names.join(" and ")}`, ...(pages?.notes ? [pages.notes] : [])].join(", "),
  };
}
