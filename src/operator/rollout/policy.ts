/** In which order the servers of a group are updated, and how many at once. Pure. */

export interface LabelSelector {
  matchLabels?: Readonly<Record<string, string>> | undefined;
  matchExpressions?:
    | readonly {
        key: string;
        operator: keyof typeof operators;
        values?: readonly string[] | undefined;
      }[]
    | undefined;
}

/**
 * Which servers: those that the selector matches, or `count` of them, or `sharePercent` of all; all
 * that are left where it says none of them. Of the servers that no wave before it has.
 */
export interface Wave {
  name: string;
  selector?: LabelSelector | undefined;
  count?: number | undefined;
  sharePercent?: number | undefined;
  /** A number of servers, or a share of the wave such as "5%", rounded down, and 1 at least. */
  maxUnavailable: number | string;
  /** How long a server has to serve after its update before it counts as available. */
  soakSeconds: number;
}

export interface Policy {
  /** One after the other. Servers that are in none are updated after the last, one at a time. */
  waves: readonly Wave[];
  /** What a server has to be while it soaks. */
  gate: "Ready" | "Deliverable";
  /** With so many failed updates the rollout stops; 1 at least. */
  maxFailures: number;
  paused: boolean;
}

/** Of servers that are in no fleet, where the operator's configuration does not say. */
export const builtInPolicy = {
  waves: [
    { name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 300 },
    { name: "rest", maxUnavailable: 2, soakSeconds: 30 },
  ],
  gate: "Deliverable",
  maxFailures: 1,
  paused: false,
} as const satisfies Policy;

/** As the API server reads it; an empty selector matches everything. */
export function isSelected(labels: Readonly<Record<string, string>>, selector: LabelSelector): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => operators[operator](labels[key], values))
  );
}

const operators = {
  In: (value, values) => value !== undefined && values.includes(value),
  NotIn: (value, values) => value === undefined || !values.includes(value),
  Exists: (value) => value !== undefined,
  DoesNotExist: (value) => value === undefined,
} satisfies Record<string, (value: string | undefined, values: readonly string[]) => boolean>;

/** How many of a wave of this size may be unavailable. */
export function limitOf({ maxUnavailable }: Pick<Wave, "maxUnavailable">, size: number): number {
  const share = /^(\d+(?:\.\d+)?)%$/.exec(String(maxUnavailable))?.[1];
  const limit = share === undefined ? Number(maxUnavailable) : Math.floor((size * Number(share)) / 100);
  return Number.isFinite(limit) ? Math.max(1, Math.floor(limit)) : 1;
}
