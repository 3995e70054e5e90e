/** Whether a spec can be carried out at all. Pure. */

import { isSourceOf } from "../../api/certificate-source.ts";
import {
  type ChatmailServer,
  ChatmailServerSpec,
  type WrittenServer,
  type WrittenSpec,
} from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import { type Layer, resolve } from "../../api/resolve.ts";
import { issueTexts } from "../../lib/issues.ts";
import { isImageAllowed } from "../image.ts";
import type { Problem } from "../problem.ts";
import { isTimeZone } from "../rollout/window.ts";

/** Values for what a spec leaves out: any part of it but the domain. */
export type ServerDefaults = Partial<Omit<WrittenSpec, "domain" | "fleetRef">>;

export type Management = ChatmailServerSpec["management"];

/** The values that the operator goes by, or why there are none. */
export type ResolvedSpec =
  | { management: Management; spec: ChatmailServerSpec }
  | { management: Management; problem: Problem };

/** What the fleet that a server names has for it. */
export type FleetSide = { name: string; defaults: ServerDefaults } | { problem: Problem };

/** Most specific first. */
export const layersOf = (spec: unknown, serverDefaults: ServerDefaults, fleet: FleetSide | undefined): Layer[] => {
  const layers: Layer[] = [
    { from: "spec", values: spec },
    ...(fleet && "defaults" in fleet ? [{ from: "fleet" as const, name: fleet.name, values: fleet.defaults }] : []),
    { from: "operator configuration", values: serverDefaults },
  ];
  const domain = (spec as { domain?: unknown } | undefined)?.domain;
  return layers.map((layer) => withSourceOf(domain, layer));
};

/** Without a source of the certificate that leaves it to the next layer (`isSourceOf`). */
function withSourceOf(domain: unknown, layer: Layer): Layer {
  const values = layer.values as { certificate?: { source?: unknown } } | undefined;
  const source = values?.certificate?.source;
  if (source === undefined || isSourceOf(domain, source, layer.from === "spec")) return layer;
  return { ...layer, values: { ...values, certificate: { ...values?.certificate, source: undefined } } };
}

/** Anything but "false" pauses: who sets it wants that nothing changes. */
export const isPauseAnnotated = ({ annotations: given }: Pick<WrittenServer["metadata"], "annotations">): boolean =>
  !["", "false", undefined].includes(given?.[annotations.pause]);

/**
 * The API server's CEL rules have seen most specs before us; what they could not see, or an older
 * CRD let pass, is found here. Without the fleet that it names a server has no values: those of the
 * operator's configuration in their place could be of another certificate, or another class of
 * volume.
 */
export function resolveServer(
  {
    spec: written,
    metadata,
  }: Pick<WrittenServer, "spec"> & { metadata: Pick<WrittenServer["metadata"], "annotations"> },
  serverDefaults: ServerDefaults,
  fleet?: FleetSide,
): ResolvedSpec {
  const resolved = resolve(ChatmailServerSpec, layersOf(written, serverDefaults, fleet));
  const ofFleet = fleet && "defaults" in fleet ? fleet.defaults.management : undefined;
  const given =
    "spec" in resolved ? resolved.spec.management : (written?.management ?? ofFleet ?? serverDefaults.management);
  const management =
    given === undefined || given === "Managed" ? (isPauseAnnotated(metadata) ? "Paused" : "Managed") : given;
  if (fleet && "problem" in fleet) return { management, problem: fleet.problem };
  const timeZone = "spec" in resolved ? resolved.spec.updatePolicy.window?.timeZone : undefined;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    const message = `spec.updatePolicy.window.timeZone: ${timeZone} is not a time zone, such as Europe/Berlin`;
    return { management, problem: { reason: "SpecInvalid", message } };
  }
  if ("spec" in resolved) return { management, spec: { ...resolved.spec, management } };
  return { management, problem: { reason: "SpecInvalid", message: issueTexts(resolved, ["spec"]) } };
}

/**
 * A domain belongs to the server that is carried out, and among several to the oldest; of two made
 * in the same second, to the one whose uid sorts first. A server that can't be carried out, is
 * Unmanaged or is being deleted keeps nobody out. A server that serves a domain (`isServing`) is
 * not stopped by an older one that becomes valid later.
 */
export function domainProblem(
  server: WrittenServer,
  all: readonly WrittenServer[],
  operator: OperatorSide,
): Problem | undefined {
  const { isServing } = operator;
  const rank = (each: WrittenServer) =>
    `${isServing(each) ? 0 : 1} ${each.metadata.creationTimestamp ?? ""} ${each.metadata.uid}`;
  const holder = all
    .filter((other) => other.spec.domain === server.spec.domain && other.metadata.uid !== server.metadata.uid)
    .filter((other) => isServing(other) || isCarriedOut(other, operator))
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

/** What the operator knows of servers beside their specs. */
export interface OperatorSide {
  isServing: (server: WrittenServer) => boolean;
  resolve: (server: WrittenServer) => ResolvedSpec;
  /** Absent: any. */
  allowedImages?: readonly string[];
}

function isCarriedOut(server: WrittenServer, { resolve, allowedImages }: OperatorSide): boolean {
  // A server that was created Paused serves nothing: one that served before it was paused is found
  // by `isServing`.
  const resolved = resolve(server);
  if (server.metadata.deletionTimestamp || resolved.management !== "Managed" || !("spec" in resolved)) return false;
  return !(allowedImages && imageProblem(resolved.spec, allowedImages));
}

/**
 * Where the spec names an image that is under none of the allowed repositories (see
 * `isImageAllowed`).
 */
export function imageProblem(
  { image: { reference: image } }: Pick<ChatmailServer["spec"], "image">,
  allowed: readonly string[],
): Problem | undefined {
  if (image === undefined || allowed.some((prefix) => isImageAllowed(image, prefix))) return undefined;
  const message = `image ${image} is not allowed: the operator allows images of ${allowed.join(", ")}; its administrators can allow more (ALLOWED_IMAGES, in the chart relayImage.allowed)`;
  return { reason: "ImageNotAllowed", message };
}
