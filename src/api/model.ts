/**
 * ChatmailServer as a class, for users of this package who build manifests in TypeScript. The
 * operator itself does not load it.
 */

import { Model, type ModelData, type TypeMeta } from "@kubernetes-models/base";
import { issueTexts } from "../lib/issues.ts";
import { ChatmailServerSpec, type ChatmailServerStatus, type WrittenSpec } from "./chatmail-server.ts";
import { apiVersion, chatmailServer } from "./names.ts";
import { writtenIssues } from "./resolve.ts";

export interface ChatmailServerData extends TypeMeta {
  apiVersion: typeof apiVersion;
  kind: typeof chatmailServer.kind;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: WrittenSpec;
  status?: ChatmailServerStatus;
}

export class ChatmailServerModel extends Model<ChatmailServerData> implements ChatmailServerData {
  declare apiVersion: typeof apiVersion;
  declare kind: typeof chatmailServer.kind;
  declare metadata: ChatmailServerData["metadata"];
  declare spec: ChatmailServerData["spec"];
  declare status?: ChatmailServerStatus;

  static apiVersion = apiVersion;
  static kind = chatmailServer.kind;

  /** Whether an object is a ChatmailServer of this version, by its type alone. */
  static is(object: unknown): object is ChatmailServerData {
    const { apiVersion: version, kind } = (object ?? {}) as Partial<TypeMeta>;
    return version === apiVersion && kind === chatmailServer.kind;
  }

  constructor(data: ModelData<ChatmailServerData>) {
    super({ apiVersion, kind: chatmailServer.kind, ...data } as ModelData<ChatmailServerData>);
  }

  /**
   * Throws an error that names each wrong field and the rule it breaks: the same rules that the API
   * server has.
   */
  override validate(): void {
    const issues = writtenIssues(ChatmailServerSpec, this.spec);
    if (issues.length === 0) return;
    throw new Error(`ChatmailServer ${this.metadata?.name ?? ""} is invalid: ${issueTexts({ issues }, ["spec"])}`);
  }
}
