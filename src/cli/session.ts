/** One call of the plugin: who the user is, where, and how the answer is to be shown. */
import { stringify } from "yaml";
import { type Client, kubeClient } from "../kube/client.ts";
import type { Credentials } from "../kube/credentials.ts";
import { defaultCredentials } from "../kube/default-credentials.ts";
import { hasKubeconfig, kubeconfigCredentials } from "../kube/kubeconfig.ts";
import { messageOf } from "../lib/text.ts";
import { CliError } from "./exit.ts";
import type { Surroundings } from "./surroundings.ts";
import { harmless, type Paint, paintFor } from "./text/paint.ts";
import { type Progress, progressOn } from "./text/progress.ts";

/** Options that every verb has. */
export interface GlobalOptions {
  namespace?: string;
  allNamespaces?: boolean;
  output?: "wide" | "json" | "yaml";
  kubeconfig?: string;
  context?: string;
  as?: string;
  asGroup?: string[];
}

export class Session {
  readonly around: Surroundings;
  readonly options: GlobalOptions;
  readonly paint: Paint;
  readonly progress: Progress;
  #credentials: Credentials | undefined;
  #client: Client | undefined;

  constructor(around: Surroundings, options: GlobalOptions) {
    this.around = around;
    this.options = options;
    this.paint = paintFor(around.out, around.environment);
    this.progress = progressOn(around.err, paintFor(around.err, around.environment));
  }

  get signal(): AbortSignal {
    return this.around.signal;
  }

  get isWide(): boolean {
    return this.options.output === "wide";
  }

  /** Whether the answer is for a program. */
  get isForPrograms(): boolean {
    return this.options.output === "json" || this.options.output === "yaml";
  }

  async credentials(): Promise<Credentials> {
    this.#credentials ??= await credentialsOf(this.around, this.options);
    return this.#credentials;
  }

  async client(): Promise<Client> {
    this.#client ??= kubeClient(await this.credentials(), { userAgent: "kubectl-chatmail" });
    return this.#client;
  }

  /** Of -n, of the context, or "default". */
  async namespace(): Promise<string> {
    return this.options.namespace ?? (await this.credentials()).namespace ?? "default";
  }

  /** Undefined: all of them. */
  async scope(): Promise<string | undefined> {
    return this.options.allNamespaces ? undefined : this.namespace();
  }

  /** Text that is written as it is. */
  print(text: string): void {
    this.around.out.write(text);
  }

  /** A line on standard error, which is no part of the answer. */
  note(text: string): void {
    this.progress.end();
    this.around.err.write(`${harmless(text)}\n`);
  }

  /** As JSON or YAML where that was asked for, else the text. */
  show(value: unknown, text: () => string): void {
    const { output } = this.options;
    this.progress.end();
    if (output === "json") this.print(`${JSON.stringify(value, null, 2)}\n`);
    else if (output === "yaml") this.print(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }));
    else this.print(text());
  }

  close(): void {
    this.progress.end();
    this.#client?.close();
  }
}

async function credentialsOf({ environment }: Surroundings, options: GlobalOptions): Promise<Credentials> {
  const { kubeconfig: path, context, as, asGroup: asGroups } = options;
  const from = { environment, path, context, as, asGroups };
  if (asGroups && as === undefined) throw new CliError("usage", "--as-group needs --as: groups are those of a user");
  try {
    const isInCluster = environment.KUBERNETES_SERVICE_HOST !== undefined && !hasKubeconfig(from);
    return await (isInCluster ? defaultCredentials(environment) : kubeconfigCredentials(from));
  } catch (cause) {
    throw new CliError("unreachable", messageOf(cause), { cause });
  }
}
