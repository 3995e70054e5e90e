/** Completes words, with names out of the cluster where they are wanted. Never throws. */
import { resources } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/object.ts";
import { completionOf, completionText } from "./completion.ts";
import { fleets, listAll, servers } from "./objects.ts";
import { programOf } from "./program.ts";
import { type GlobalOptions, Session } from "./session.ts";
import type { Surroundings } from "./surroundings.ts";

/** Whoever presses a key does not wait longer. */
const patienceMs = 3_000;

const kindsOf = { servers, fleets, namespaces: resources.namespace } as const;

export async function complete(words: readonly string[], around: Surroundings): Promise<void> {
  const completion = completionOf(programOf(), words);
  if ("words" in completion) return around.out.write(completionText(completion));
  const { objects, partial } = completion;
  const signal = AbortSignal.any([around.signal, AbortSignal.timeout(patienceMs)]);
  const session = new Session({ ...around, signal }, optionsIn(words));
  try {
    const namespace = objects === "namespaces" ? undefined : await session.namespace();
    const found = await listAll<KubeObject>(await session.client(), kindsOf[objects], { namespace }, signal);
    const names = found.map(({ metadata }) => ({ word: metadata.name })).filter(({ word }) => word.startsWith(partial));
    around.out.write(completionText({ words: names, files: false }));
  } catch {
    around.out.write(completionText({ words: [], files: false }));
  } finally {
    session.close();
  }
}

/** The options of the call that is being written, as far as they say where to look. */
function optionsIn(words: readonly string[]): GlobalOptions {
  const after = (...names: string[]) => words.find((_, at) => names.includes(words[at - 1] ?? ""));
  const namespace = after("-n", "--namespace");
  const context = after("--context");
  const kubeconfig = after("--kubeconfig");
  return { ...(namespace && { namespace }), ...(context && { context }), ...(kubeconfig && { kubeconfig }) };
}
