/** Whether a spec can be carried out at all. Pure. */
import { type ChatmailServer, ChatmailServerSpec } from "../../api/chatmail-server.ts";
import type { Problem } from "./seen.ts";

/** The API server's CEL rules have seen most specs before us; what they could not see, or an older CRD let pass, is found here. */
export function specProblem(spec: unknown): Problem | undefined {
  const result = ChatmailServerSpec.safeParse(spec);
  if (result.success) return undefined;
  const message = result.error.issues
    .map((issue) => `${["spec", ...issue.path].join(".")}: ${issue.message}`)
    .join("; ");
  return { reason: "SpecInvalid", message };
}

/** The older server keeps the domain; of two made in the same second, the one whose uid sorts first. */
export function domainProblem(server: ChatmailServer, all: readonly ChatmailServer[]): Problem | undefined {
  const age = ({ metadata }: ChatmailServer) => `${metadata.creationTimestamp ?? ""} ${metadata.uid}`;
  const older = all
    .filter((other) => other.spec.domain === server.spec.domain && other.metadata.uid !== server.metadata.uid)
    .filter((other) => age(other) < age(server))
    .sort((a, b) => (age(a) < age(b) ? -1 : 1))[0];
  if (!older) return undefined;
  const { namespace, name } = older.metadata;
  const message = `${server.spec.domain} belongs to ${namespace}/${name}, which is older; delete one of the two`;
  return { reason: "DomainTaken", message };
}
