/**
 * The rollouts that are under way: which servers are in each, and whose turn it is. What is
 * remembered here are turns that the cluster does not show yet; all else follows from the servers,
 * each of which is looked at once before anybody gets a turn.
 */
import { isDeepStrictEqual } from "node:util";
import { annotations } from "../../api/names.ts";
import type { Source } from "../../kube/source.ts";
import { type Member, type MemberState, type Turns, turnsOf } from "./gate.ts";
import type { Policy } from "./policy.ts";

/** Servers that are updated by one policy. */
export interface Group {
  /** Unique among all groups. */
  id: string;
  policy: Policy;
  /** What the targets of its servers follow from beside their own specs, where that changes. */
  basis?: string;
}

/** A server as its reconcile found it. */
export interface Noted {
  group: Group;
  labels: Readonly<Record<string, string>>;
  /** Undefined where its rollout does not concern it. */
  state: MemberState | undefined;
  /** The revision that it is to have. */
  target: string;
  /** That of its group when it was looked at. */
  basis?: string | undefined;
}

/** Whether a server may be updated, and what it waits for. */
export type Answer = { goes: true } | { goes: false; stopped: boolean; message: string };

export interface RolloutsOptions {
  /** Keys of all servers there are. */
  servers: () => Iterable<string>;
  now: () => Date;
}

export class Rollouts {
  readonly #options: RolloutsOptions;
  readonly #noted = new Map<string, Noted | undefined>();
  /** Turns that were given, with the target, until the cluster shows them. */
  readonly #given = new Map<string, string>();
  /** Whose successor could not start, with the target. */
  readonly #held = new Map<string, string>();
  readonly #answers = new Map<string, Turns>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #announced = new Map<string, string>();
  readonly #listeners = new Set<(keys: readonly string[]) => void>();
  #isComplete = false;
  #isDue = false;

  constructor(options: RolloutsOptions) {
    this.#options = options;
  }

  /** Undefined: the server is in no rollout. Each server is noted once, or nobody gets a turn. */
  note(key: string, noted: Noted | undefined): void {
    const before = this.#noted.get(key);
    const isNew = !this.#noted.has(key);
    this.#noted.set(key, noted);
    const target = noted?.target;
    if (noted?.state?.is !== "Waiting" || this.#given.get(key) !== target) this.#given.delete(key);
    if (noted?.state?.is !== "Waiting" || this.#held.get(key) !== target) this.#held.delete(key);
    if (isNew || !isDeepStrictEqual(before, noted)) this.#changed();
  }

  /** The server no longer exists. */
  forget(key: string): void {
    if (!this.#noted.has(key)) return;
    for (const known of [this.#noted, this.#given, this.#held]) known.delete(key);
    this.#changed();
  }

  /**
   * Gives a server its turn, if it is its turn. From then on it counts as one that is being
   * updated. Safe to repeat.
   */
  ask(key: string): Answer {
    const noted = this.#noted.get(key);
    if (!noted) return { goes: false, stopped: false, message: "the server is in no rollout" };
    if (this.#given.has(key)) return { goes: true };
    if (!this.isCurrent(noted.group)) {
      const stopped = noted.group.policy.paused ? "Paused" : undefined;
      return { goes: false, ...waitingFor({ stopped, failed: [] }) };
    }
    const turns = this.#turnsOf(noted.group);
    if (turns.go.includes(key)) {
      this.#given.set(key, noted.target);
      this.#changed();
      return { goes: true };
    }
    return { goes: false, ...waitingFor(turns) };
  }

  /** The update was refused before anything was changed: others go on, and it tries again. */
  release(key: string): void {
    const noted = this.#noted.get(key);
    this.#given.delete(key);
    if (noted) this.#held.set(key, noted.target);
    this.#changed();
  }

  /** A policy is another one. */
  reconsider(): void {
    this.#changed();
  }

  /** Servers whose turn has come, or whose rollout has stopped or goes on, as work. */
  source(): Source {
    return {
      whenFilled: async () => undefined,
      start: (queue) => {
        const listener = (keys: readonly string[]) => {
          for (const key of keys) queue.add(key, "change");
        };
        this.#listeners.add(listener);
        this.#changed();
        return () => {
          this.#listeners.delete(listener);
          for (const timer of this.#timers.values()) clearTimeout(timer);
          this.#timers.clear();
        };
      },
      sweep: () => undefined,
    };
  }

  /** All that are in the group, with turns that were given. */
  membersOf(groupId: string): Member[] {
    return [...this.#noted].flatMap(([key, noted]) => {
      if (noted?.group.id !== groupId || !noted.state) return [];
      return [{ key, labels: noted.labels, state: this.#stateOf(key, noted.state) }];
    });
  }

  #stateOf(key: string, state: MemberState): MemberState {
    if (state.is !== "Waiting") return state;
    if (this.#given.has(key)) return { is: "OnTarget", wasServing: state.isServing };
    return this.#held.has(key) ? { is: "Held", isServing: state.isServing } : state;
  }

  /** Whether each server was looked at once since the operator started. */
  get isComplete(): boolean {
    if (this.#isComplete) return true;
    for (const key of this.#options.servers()) if (!this.#noted.has(key)) return false;
    this.#isComplete = true;
    return true;
  }

  /**
   * Whether each server of the group was looked at since its targets have changed: of those that
   * were not, it is not known that they wait, and a wave could seem to be over.
   */
  isCurrent({ id, basis }: Group): boolean {
    if (!this.isComplete) return false;
    for (const noted of this.#noted.values()) if (noted?.group.id === id && noted.basis !== basis) return false;
    return true;
  }

  #turnsOf(group: Group): Turns {
    const known = this.#answers.get(group.id);
    if (known) return known;
    const turns = turnsOf(this.membersOf(group.id), group.policy, this.#options.now());
    this.#answers.set(group.id, turns);
    return turns;
  }

  /** Tells those whom it concerns, once for all changes of this moment. */
  #changed(): void {
    this.#answers.clear();
    if (this.#isDue || this.#listeners.size === 0) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#announce();
    });
  }

  #announce(): void {
    if (this.#listeners.size === 0 || !this.isComplete) return;
    const groups = new Map(
      [...this.#noted.values()].flatMap((noted) => (noted ? [[noted.group.id, noted.group]] : [])),
    );
    for (const group of [...groups.values()].filter((each) => this.isCurrent(each))) {
      const turns = this.#turnsOf(group);
      const { stopped } = waitingFor(turns);
      const members = this.membersOf(group.id);
      const isTold = this.#announced.get(group.id) === String(stopped);
      this.#announced.set(group.id, String(stopped));
      // one that is held tries again on its own
      const mayGo = new Set(turns.go);
      const told = members.filter(({ key, state }) => state.is === "Waiting" && (!isTold || mayGo.has(key)));
      for (const listener of this.#listeners) listener(told.map(({ key }) => key));
      this.#lookAgain(group.id, turns.again);
    }
  }

  #lookAgain(groupId: string, at: Date | undefined): void {
    clearTimeout(this.#timers.get(groupId));
    this.#timers.delete(groupId);
    if (!at) return;
    const inMs = Math.min(Math.max(at.getTime() - this.#options.now().getTime(), 0) + 100, longestTimerMs);
    this.#timers.set(
      groupId,
      setTimeout(() => this.#changed(), inMs),
    );
  }
}

/** Node's timers take no more than 24 days. */
const longestTimerMs = 3_600_000;

/** The same text for all that wait, and for as long as they do: each other one is a write. */
function waitingFor({ stopped, failed }: Pick<Turns, "stopped" | "failed">): { stopped: boolean; message: string } {
  if (stopped === "Paused") return { stopped: false, message: "the rollout is paused" };
  if (stopped === "Failures") {
    const count = failed.length === 1 ? "1 update has" : `${failed.length} updates have`;
    const cure = `Servers that failed say UpdateFailed: with the cause removed, set ${annotations.retryUpdate} on them, or install another version`;
    return { stopped: true, message: `the rollout has stopped, because ${count} failed. ${cure}` };
  }
  return { stopped: false, message: "the update waits for its turn among the servers" };
}
