/** The fleets as we know them, and what they have for their servers. */
import type { WrittenFleet } from "../../api/chatmail-fleet.ts";
import type { WrittenServer, WrittenSpec } from "../../api/chatmail-server.ts";
import { chatmailFleet, group, version } from "../../api/names.ts";
import type { Cache } from "../../kube/cache.ts";
import { trimmed } from "../../kube/fields.ts";
import type { Index } from "../../kube/indexes.ts";
import { type KubeObject, keyOf, type Resource } from "../../kube/object.ts";
import { fromMapped, type Source } from "../../kube/source.ts";
import type { Store } from "../../kube/store.ts";
import { ofVersion } from "../image.ts";
import type { Policy } from "../rollout/policy.ts";
import type { Group } from "../rollout/rollouts.ts";
import type { FleetSide, ServerDefaults } from "../server/spec.ts";
import { policyOf } from "./policy.ts";
import { rollbackIn } from "./rollback.ts";

/** As the watch brings it. */
export type LiveFleet = WrittenFleet & KubeObject;

export const chatmailFleets: Resource<LiveFleet> = {
  group,
  version,
  kind: chatmailFleet.kind,
  plural: chatmailFleet.plural,
};

type Named = Pick<WrittenSpec, "certificate" | "accounts" | "website" | "services" | "dns" | "backup">;

/** `Server`: as the store of servers has them. */
export class Fleets<Server extends WrittenServer & KubeObject = WrittenServer & KubeObject> {
  /** An older CRD or Role may not know fleets: then there are none. */
  readonly store: Store<LiveFleet>;
  readonly #servers: Store<Server>;
  readonly #members: Index<Server>;
  readonly #relayImage: string;
  /** For what a fleet does not say. */
  readonly #otherwise: Policy;
  readonly #groups = new Map<string, Group>();

  constructor(
    cache: Pick<Cache, "store">,
    options: { servers: Store<Server>; relayImage: string; fieldManager: string; rollout: Policy },
  ) {
    this.store = cache.store(chatmailFleets, {
      trim: (fleet) => trimmed(fleet, options.fieldManager),
      optional: true,
    });
    this.#servers = options.servers;
    this.#members = options.servers.index(keyOfFleet);
    this.#relayImage = options.relayImage;
    this.#otherwise = options.rollout;
  }

  /** By the key of the fleet. Of a fleet that does not exist, too. */
  membersOf(key: string): Server[] {
    return this.#members.get(key);
  }

  /** Another text means that `sideOf` may be another. */
  versionFor(server: WrittenServer): string {
    const [key] = keyOfFleet(server);
    return key === undefined ? "" : this.#versionAt(key);
  }

  /** What the fleet has for this server; undefined for a server that is in none. */
  sideOf(server: WrittenServer): FleetSide | undefined {
    const [key] = keyOfFleet(server);
    if (key === undefined) return undefined;
    const fleet = this.store.at(key);
    const name = key.slice(key.indexOf("/") + 1);
    if (fleet) return { name, defaults: this.defaultsOf(fleet) };
    const { namespace } = server.metadata;
    const refusal = this.#refusalAt(namespace);
    const message =
      refusal === undefined
        ? `there is no ChatmailFleet ${name} in namespace ${namespace}: create it, or remove fleetRef; until then nothing changes: a relay that runs goes on, a new one waits`
        : `the operator can't read ChatmailFleets in namespace ${namespace}: ${refusal.trim()}. Install the CRD and the Role of its chart; until then nothing changes: a relay that runs goes on, a new one waits`;
    return { problem: { reason: "FleetMissing", message } };
  }

  /** The image that the fleet asks for. */
  imageOf({ spec }: WrittenFleet): string {
    const { defaults, rollout } = spec ?? {};
    if (defaults?.image?.reference !== undefined) return defaults.image.reference;
    return rollout?.version === undefined ? this.#relayImage : ofVersion(this.#relayImage, rollout.version);
  }

  /** Of a fleet that no longer exists: nobody gets a turn by it. */
  policyOf(key: string): Policy {
    const fleet = this.store.at(key);
    return fleet ? policyOf(fleet.spec?.rollout, this.#otherwise) : { ...this.#otherwise, paused: true };
  }

  /** The rollout that a server is in: that of its fleet. It has the policy of the moment. */
  groupOf(server: WrittenServer): Group | undefined {
    const [key] = keyOfFleet(server);
    if (key === undefined) return undefined;
    return this.groupAt(key);
  }

  /** By the key of the fleet. */
  groupAt(key: string): Group {
    const policyOfNow = () => this.policyOf(key);
    const basisOfNow = () => this.#versionAt(key);
    const group: Group = this.#groups.get(key) ?? {
      id: `fleet ${key}`,
      get policy() {
        return policyOfNow();
      },
      get basis() {
        return basisOfNow();
      },
    };
    this.#groups.set(key, group);
    return group;
  }

  /** With the image that it asks for, or the one that it goes back to. */
  defaultsOf(fleet: WrittenFleet): ServerDefaults {
    const { defaults = {}, rollout } = fleet.spec ?? {};
    const wanted = this.imageOf(fleet);
    const back = rollbackIn(fleet, wanted);
    if (!back && rollout?.version === undefined) return defaults;
    return { ...defaults, image: { ...defaults.image, reference: back?.to ?? wanted } };
  }

  /**
   * Servers by the names of objects that their spec, their fleet or the operator's configuration
   * has for them, also one that another of the three overrules.
   */
  serversBy(
    namesIn: (spec: Named) => readonly (string | undefined)[],
    serverDefaults: ServerDefaults,
  ): Pick<Index<Server>, "get"> {
    const keys = (namespace: string, spec: Named | undefined) =>
      namesIn(spec ?? {}).flatMap((name) => (name === undefined ? [] : [`${namespace}/${name}`]));
    const ofServers = this.#servers.index(({ metadata, spec }) => [
      ...new Set([...keys(metadata.namespace, spec), ...keys(metadata.namespace, serverDefaults)]),
    ]);
    const ofFleets = this.store.index(({ metadata, spec }) => keys(metadata.namespace, spec?.defaults));
    return {
      get: (term) => [
        ...new Set([...ofServers.get(term), ...ofFleets.get(term).flatMap((fleet) => this.membersOf(keyOf(fleet)))]),
      ],
    };
  }

  /** The work of each member that another spec of its fleet is. */
  get memberSource(): Source {
    return fromMapped(this.store, (change) => {
      const isSame = change.type === "changed" && this.#versionOf(change.before) === this.#versionOf(change.object);
      return isSame ? [] : this.membersOf(keyOf(change.object)).map(keyOf);
    });
  }

  /** Of the status, only what it gives to its servers. */
  #versionOf(fleet: LiveFleet): string {
    const { uid, generation } = fleet.metadata;
    return `${keyOf(fleet)} ${uid} ${generation} ${rollbackIn(fleet, this.imageOf(fleet))?.to ?? ""}`;
  }

  #versionAt(key: string): string {
    const fleet = this.store.at(key);
    return fleet ? this.#versionOf(fleet) : `${key} ${this.#refusalAt(key.slice(0, key.indexOf("/")))}`;
  }

  #refusalAt(namespace: string): string | undefined {
    return this.store.leftOut.get(namespace) ?? this.store.leftOut.get("");
  }
}

/** Empty for a server that is in no fleet. */
export function keyOfFleet({ metadata, spec }: WrittenServer): [key: string] | [] {
  const name = spec?.fleetRef?.name;
  return name === undefined ? [] : [`${metadata.namespace}/${name}`];
}
