/**
 * Carries a rotation of DKIM keys out: makes and removes keys, and writes down what each is for, in
 * one change of the Secret for each step. Safe to repeat after a crash at any line.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { dkimFingerprint } from "../../dns/dkim-key.ts";
import type { KubeObject } from "../../kube/object.ts";
import { keyFileOf, rotationFile } from "../../pod/dkim.ts";
import { type DkimKeys, makeKey, ownersOf } from "../identity/dkim.ts";
import { change } from "../identity/make.ts";
import { type Algorithm, remembering, type Step } from "../identity/rotation.ts";
import { dataOf } from "../identity/secret.ts";
import { identities, type Texts } from "../identity/table.ts";
import { type Done, noting } from "./act.ts";
import { observe } from "./observe.ts";
import { rotationStep } from "./rotation-step.ts";
import type { Seen } from "./seen.ts";
import type { World } from "./world.ts";

/** More than a rotation has; what is left is done by the next reconcile. */
const mostSteps = 8;

/** What is known of the server afterwards. */
export async function rotateKeys(
  server: ChatmailServer & KubeObject,
  found: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<Seen> {
  let seen = found;
  for (let steps = 0; steps < mostSteps; steps++) {
    const dkim = seen.identity.dkim;
    const step = rotationStep(server, seen, world.now());
    if (!step?.to || dkim?.state !== "present") return seen;
    const what = `Secret ${dkim.secret.metadata.name}`;
    let isWritten = false;
    await noting(done, { what, concern: identities.dkim.concern }, async () => {
      const data = await changedData(server, dkim.value, step, world);
      await change(dkim.secret, { data }, world, signal);
      isWritten = true;
    });
    if (!isWritten) return seen;
    world.unsaved.forget({ uid: server.metadata.uid, name: "nextDkim" });
    done.sent.push(what);
    if (step.note !== undefined) world.events.note(server, { type: "Normal", reason: "DKIMRotation", note: step.note });
    seen = await observe(server, world, signal);
  }
  return seen;
}

/** In one change: a key is never there without what it is for. Null removes. */
async function changedData(
  server: ChatmailServer,
  keys: DkimKeys,
  step: Step,
  world: World,
): Promise<Record<string, string | null>> {
  const { to, made = [], removed = [] } = step;
  const of = { uid: server.metadata.uid, name: "nextDkim" } as const;
  const newKey = (algorithm: Algorithm) => makeKey(algorithm, () => world.rsaKeys.take());
  const byAlgorithm = async () =>
    Object.fromEntries(
      await Promise.all(made.map(async ({ algorithm }) => [algorithm, await newKey(algorithm)] as const)),
    );
  const fresh: Texts = made.length > 0 ? await world.unsaved.texts(of, byAlgorithm) : {};
  const files = await Promise.all(
    made.map(async ({ selector, algorithm }) => [keyFileOf(selector), fresh[algorithm] ?? (await newKey(algorithm))]),
  );
  const [owner] = ownersOf(keys);
  const gone = keys.keys.filter(({ selector }) => removed.includes(selector)).map(({ key }) => dkimFingerprint(key));
  const rotation = {
    ...to,
    ...(owner !== undefined && { owner }),
    ...(gone.length > 0 && { removed: remembering(keys.rotation.removed, gone) }),
  };
  return {
    ...dataOf({ ...Object.fromEntries(files), [rotationFile]: `${JSON.stringify(rotation)}\n` }),
    ...Object.fromEntries(removed.map((selector) => [keyFileOf(selector), null])),
  };
}
