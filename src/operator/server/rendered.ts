/**
 * What a StatefulSet's template was made from. It stands in an annotation of the StatefulSet, so it
 * is written with the template, at once or not at all: an operator that is killed between any two
 * steps finds out from it where it was. Pure.
 */
import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { annotations } from "../../api/names.ts";
import { canonical } from "../../kube/fields.ts";
import { BoundedMap } from "../../lib/bounded-map.ts";
import type { LiveStatefulSet } from "./live.ts";
import type { PodPlan } from "./resources/pod.ts";
import { podTemplate } from "./resources/stateful-set.ts";
import type { PodInputs, PodTemplate, Rendered, Revision } from "./revision.ts";
import { timeText } from "./time-text.ts";

/** Ten hexadecimal digits. */
export const shortDigest = (value: unknown) => createHash("sha256").update(canonical(value)).digest("hex").slice(0, 10);

export function revisionOf(template: PodTemplate): Revision {
  const { metadata } = template;
  const { [annotations.revision]: _, ...others } = metadata?.annotations ?? {};
  const id = shortDigest({ ...template, metadata: { ...metadata, annotations: others } });
  return {
    id,
    template: { ...template, metadata: { ...metadata, annotations: { ...others, [annotations.revision]: id } } },
  };
}

/** Of a server that has none yet. */
export function firstRendered(plan: PodPlan, inputs: PodInputs): Rendered {
  const revision = revisionOf(podTemplate(plan));
  const { spec: written } = plan.server;
  return { revision, cause: "created", since: timeText(new Date(0)), written, inputs, configuration: "" };
}

export const imageOf = ({ spec }: PodTemplate): string | undefined => spec?.containers[0]?.image;

/** As the annotation has it. */
export const renderedText = (rendered: Rendered): string =>
  deflateRawSync(JSON.stringify(rendered), { level: 9 }).toString("base64");

/** Those that are worked on: of all servers they would take much memory. */
const lately = new BoundedMap<string, { rendered: Rendered | undefined }>(16);

/** Undefined where a StatefulSet has none, or where somebody else wrote it. */
export function renderedOf(live: LiveStatefulSet): Rendered | undefined {
  const text = live.metadata.annotations?.[annotations.rendered];
  if (text === undefined) return undefined;
  const known = lately.use(text) ?? { rendered: readRendered(text) };
  lately.set(text, known);
  return known.rendered;
}

/** Templates are what their ids say, or nothing is believed. */
function readRendered(text: string): Rendered | undefined {
  try {
    const bytes = inflateRawSync(Buffer.from(text, "base64"), { maxOutputLength: 1_000_000 });
    const rendered = JSON.parse(bytes.toString()) as Rendered;
    const isWhole = [rendered.revision, ...(rendered.good ? [rendered.good] : [])].every(
      ({ id, template }) => revisionOf(template).id === id,
    );
    const { secretsHash, tlsSecretName, addresses } = rendered.inputs;
    const isRead =
      isWhole &&
      [secretsHash, tlsSecretName].every((each) => typeof each === "string") &&
      Array.isArray(addresses) &&
      !Number.isNaN(Date.parse(rendered.since));
    return isRead ? rendered : undefined;
  } catch {
    return undefined;
  }
}
