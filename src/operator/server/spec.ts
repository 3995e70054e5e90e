/** Whether a spec can be carried out at all. Pure. */

import { type ChatmailServer, ChatmailServerSpec } from "../../api/chatmail-server.ts";
import { issueTexts } from "../../lib/issues.ts";
import { isImageAllowed } from "../image.ts";
import type { Problem } from "../problem.ts";

/** The API server's CEL rules have seen most specs before us; what they could not see, or an older CRD let pass, is found here. */
export function specProblem(spec: unknown): Problem | undefined {
  const result = ChatmailServerSpec.safeParse(spec);
  if (result.success) return undefined;
  return { reason: "SpecInvalid", message: issueTexts(result.error, ["spec"]) };
}

/**
 * A domain belongs to the server that is carried out, and among several to the oldest; of two made in the same second, to the one whose uid
 * sorts first. A server that can't be carried out, is Unmanaged or is being deleted keeps nobody out. A server that serves a domain
 * (`isServing`) is not stopped by an older one that becomes valid later.
 */
export function domainProblem(
  server: ChatmailServer,
  all: readonly ChatmailServer[],
  isServing: (server: ChatmailServer) => boolean = () => false,
  allowedImages?: readonly string[],
): Problem | undefined {
  const rank = (each: ChatmailServer) =>
    `${isServing(each) ? 0 : 1} ${each.metadata.creationTimestamp ?? ""} ${each.metadata.uid}`;
  const holder = all
    .filter((other) => other.spec.domain === server.spec.domain && other.metadata.uid !== server.metadata.uid)
    .filter((other) => isServing(other) || isCarriedOut(other, allowedImages))
    .filter((other) => rank(other) < rank(server))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
  if (!holder) return undefined;
  const { domain } = server.spec;
  const { namespace, name } = holder.metadata;
  const message =
    namespace === server.metadata.namespace
      ? `${domain} is served by ChatmailServer ${name}: delete one of the two`
      : `${domain} is served by a ChatmailServer in another namespace: choose another domain, or ask the cluster's administrators`;
  return { reason: "DomainTaken", message };
}

function isCarriedOut({ metadata, spec }: ChatmailServer, allowedImages?: readonly string[]): boolean {
  // A server that was created Paused serves nothing: one that served before it was paused is found by `isServing`.
  if (metadata.deletionTimestamp || spec.management !== "Managed") return false;
  return !specProblem(spec) && !(allowedImages && imageProblem(spec, allowedImages));
}

/** Where the spec names an image that is under none of the allowed repositories (see `isImageAllowed`). */
export function imageProblem(
  { image: { reference: image } }: Pick<ChatmailServerSpec, "image">,
  allowed: readonly string[],
): Problem | undefined {
  if (image === undefined || allowed.some((prefix) => isImageAllowed(image, prefix))) return undefined;
  const message = `image ${image} is not allowed: the operator allows images of ${allowed.join(", ")}; its administrators can allow more (ALLOWED_IMAGES, in the chart relayImage.allowed)`;
  return { reason: "ImageNotAllowed", message };
}
