/** The end of the records of a server: reads what is known of it, and asks for what is next. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { ApiError } from "../../kube/client.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { observe } from "./observe.ts";
import { removalTarget } from "./observe-dns.ts";
import { leftInZone, type RecordsStep, recordsStep } from "./records-end.ts";
import type { World } from "./world.ts";

type ResolvedServer = ChatmailServer & KubeObject;
type Target = NonNullable<ReturnType<typeof removalTarget>>;

/** The records of one server that ends. */
export class EndingRecords {
  readonly #server: ResolvedServer;
  readonly #target: Target;
  readonly #world: World;

  private constructor(server: ResolvedServer, target: Target, world: World) {
    this.#server = server;
    this.#target = target;
    this.#world = world;
  }

  /** Undefined where none of them is to be removed. From now on nothing is published any more. */
  static async open(server: ResolvedServer, world: World, signal: AbortSignal): Promise<EndingRecords | undefined> {
    if (!removesRecords(server)) {
      world.names.want(keyOf(server), undefined);
      return undefined;
    }
    const target = removalTarget(server, await observe(server, world, signal));
    if (!target || "problem" in target) world.names.want(keyOf(server), undefined);
    return target && new EndingRecords(server, target, world);
  }

  /** Whether all was asked for already. */
  get areGoing(): boolean {
    return this.#world.names.removalOf(keyOf(this.#server))?.part === "all";
  }

  next(part: "routes" | "all", sinceMs: number): RecordsStep {
    const { names, now } = this.#world;
    const key = keyOf(this.#server);
    const at = { part, sinceMs, now: now() };
    if ("problem" in this.#target) return recordsStep({ ...at, status: undefined, problem: this.#target.problem });
    names.remove(key, { ...this.#target, part });
    return recordsStep({ ...at, status: names.removalOf(key)?.status });
  }

  /** All at once, and nobody waits for it. */
  letGo(): void {
    if ("problem" in this.#target) return;
    this.#world.names.remove(keyOf(this.#server), { ...this.#target, part: "all", detached: true });
  }

  /** What is told of records that stay. */
  left(why: string): string {
    const { spec, status } = this.#server;
    const published = (status?.dns?.records ?? []).filter(({ state }) => state === "Published");
    return leftInZone(spec.domain, published, why);
  }
}

/** Before the objects of a namespace go: what can't be read any more stays in the zone. */
export async function letRecordsGo(server: ResolvedServer, world: World, signal: AbortSignal): Promise<void> {
  try {
    (await EndingRecords.open(server, world, signal))?.letGo();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Whether its deletion has to take records away. */
export const removesRecords = ({ spec: { dns } }: ChatmailServer): boolean =>
  dns.mode === "RFC2136" && dns.onDelete === "Remove";
