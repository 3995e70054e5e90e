/** Which versions of what it mounts a running pod may have by now: see sync-pod.ts. */
import { type KubeObject, keyOf } from "../../kube/object.ts";
import type { LivePod } from "./live.ts";

/**
 * What each pod may have mounted by now. A pod that is new to us has what there is: it mounts it as
 * it starts. It has not where it says so: something changed between its start and our first look.
 */
export class PodSync {
  readonly #mounted = new Map<string, { uid: string; state: string; touched: boolean }>();

  /**
   * Whether something that the pod mounts has changed since we saw it first, or since `touched`.
   * `isBehind`: the pod reports that it was given an earlier plan.
   */
  isDue(pod: LivePod, state: string, isBehind: boolean): boolean {
    const { uid = "" } = pod.metadata;
    const known = this.#mounted.get(keyOf(pod));
    if (known?.uid !== uid) {
      this.#mounted.set(keyOf(pod), { uid, state, touched: false });
      return isBehind;
    }
    return known.state !== state || (isBehind && !known.touched);
  }

  touched(pod: LivePod, state: string): void {
    this.#mounted.set(keyOf(pod), { uid: pod.metadata.uid ?? "", state, touched: true });
  }

  forget(pod: KubeObject): void {
    this.#mounted.delete(keyOf(pod));
  }
}
