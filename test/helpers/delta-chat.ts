/** A real Delta Chat core as a client: one process with one profile, driven over its JSON-RPC. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DcEvent, type DcEventType, StdioDeltaChat } from "@deltachat/jsonrpc-client";
import { patienceMs, until } from "./until.ts";

/** The core's program for this platform; optional packages of test/package.json. */
export function corePath(): string {
  const name = `@deltachat/stdio-rpc-server-${process.platform}-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new Error(`there is no Delta Chat core for this platform (${name})`, { cause });
  }
}

export class DeltaChatClient {
  readonly name: string;
  readonly account: number;
  readonly rpc: StdioDeltaChat["rpc"];
  /**
   * Everything the core has said since it started; events may come before anybody waits for them.
   */
  readonly events: DcEvent[] = [];
  readonly #child: ChildProcess;
  readonly #folder: string;

  /**
   * Starts a core with an empty profile. The process must be where the relay's names resolve.
   * `program`: another core.
   */
  static async start(name: string, program = corePath()): Promise<DeltaChatClient> {
    const folder = await mkdtemp(join(tmpdir(), "delta-chat-"));
    // RUST_LOG=error: at warn the core floods stderr with OpenPGP packet remarks.
    const child = spawn(program, {
      env: { DC_ACCOUNTS_PATH: join(folder, "accounts"), RUST_LOG: "error" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.on("error", () => undefined); // its event loop writes once more after the end
    const core = new StdioDeltaChat(child.stdin, child.stdout, true);
    const account = await core.rpc.addAccount();
    await core.rpc.setConfig(account, "displayname", name);
    // A person's client holds messages back that follow each other within a second, for its own
    // rate limit; a bot's does not (measured: 870 ms instead of 60). What is tested and measured
    // here is the relay.
    await core.rpc.setConfig(account, "bot", "1");
    return new DeltaChatClient({ name, account, core, child, folder });
  }

  private constructor(parts: {
    name: string;
    account: number;
    core: StdioDeltaChat;
    child: ChildProcess;
    folder: string;
  }) {
    this.name = parts.name;
    this.account = parts.account;
    this.rpc = parts.core.rpc;
    this.#child = parts.child;
    this.#folder = parts.folder;
    parts.core.on("ALL", (account, event) => {
      if (account === this.account) this.events.push(event);
    });
  }

  /**
   * Gets an address by an invite link and waits until the inbox is watched. Throws with the core's
   * reason and its last warnings.
   */
  async join(invite: string): Promise<void> {
    try {
      await this.rpc.addTransportFromQr(this.account, invite);
    } catch (thrown) {
      throw new Error(`${this.name} could not join by ${invite}: ${String(thrown)}\n${this.complaints()}`, {
        cause: thrown,
      });
    }
    await this.event("ImapInboxIdle");
  }

  async address(): Promise<string> {
    return (await this.rpc.getConfig(this.account, "configured_addr")) ?? "";
  }

  /** Waits for an event of this kind that fits, past ones included. */
  async event<K extends DcEvent["kind"]>(
    kind: K,
    fits: (event: DcEventType<K>) => boolean | Promise<boolean> = () => true,
  ): Promise<DcEventType<K>> {
    return until(
      `${this.name}'s ${kind}`,
      async () => {
        for (const event of this.events) {
          if (event.kind === kind && (await fits(event as DcEventType<K>))) return event as DcEventType<K>;
        }
        return undefined;
      },
      { patienceMs: patienceMs.client, everyMs: 5 },
    ).catch((thrown) => {
      throw new Error(`${String(thrown)}\n${this.complaints()}`, { cause: thrown });
    });
  }

  /**
   * Secure-join with another client; resolves with both sides' chat when both say it is complete.
   */
  async meet(inviter: DeltaChatClient): Promise<{ mine: number; theirs: number }> {
    const [link] = await inviter.rpc.getChatSecurejoinQrCodeSvg(inviter.account, null);
    const mine = await this.rpc.secureJoin(this.account, link);
    const done = await inviter.event("SecurejoinInviterProgress", (event) => event.progress === 1000);
    await this.event("SecurejoinJoinerProgress", (event) => event.progress === 1000);
    return { mine, theirs: done.chatId };
  }

  /**
   * Joins the group that a member has a link for; resolves with this side's chat when both sides
   * say it is complete.
   */
  async joinGroup(member: DeltaChatClient, group: number): Promise<number> {
    const from = member.events.length;
    const [link] = await member.rpc.getChatSecurejoinQrCodeSvg(member.account, group);
    const chat = await this.rpc.secureJoin(this.account, link);
    await until(
      `${this.name} to be in the group`,
      () => member.events.slice(from).some((e) => e.kind === "SecurejoinInviterProgress" && e.progress === 1000),
      { patienceMs: patienceMs.client, everyMs: 20 },
    );
    await this.event("SecurejoinJoinerProgress", (event) => event.progress === 1000);
    return chat;
  }

  say(chat: number, text: string): Promise<number> {
    return this.rpc.miscSendTextMessage(this.account, chat, text);
  }

  /** How many messages of this text there are, on whichever side of a chat. */
  async count(text: string): Promise<number> {
    return (await this.rpc.searchMessages(this.account, text, null)).length;
  }

  /**
   * Waits until it has this text. It and who has sent it look for their relays again now and then:
   * after a failed attempt a core rests for half a minute and more.
   */
  async has(text: string, from?: DeltaChatClient): Promise<void> {
    let lookedAt = performance.now();
    const found = async () => {
      if ((await this.count(text)) > 0) return true;
      if (performance.now() - lookedAt > 1_000) {
        lookedAt = performance.now();
        for (const each of [this, from]) await each?.rpc.maybeNetwork();
      }
      return false;
    };
    await until(`${this.name} to have "${text}"`, found, { patienceMs: patienceMs.pod, everyMs: 50 }).catch((cause) => {
      throw new Error(`${String(cause)}\n${this.complaints()}`, { cause });
    });
  }

  /** The folder of its profile: what goes with it at the end. */
  get folder(): string {
    return this.#folder;
  }

  /** Waits for a text and tells whether it came end-to-end encrypted. */
  async received(text: string): Promise<{ encrypted: boolean }> {
    const isIt = async (event: DcEventType<"IncomingMsg">) =>
      (await this.rpc.getMessage(this.account, event.msgId)).text === text;
    const event = await this.event("IncomingMsg", isIt);
    return { encrypted: (await this.rpc.getMessage(this.account, event.msgId)).showPadlock };
  }

  /**
   * Warnings and errors of the core, newest last: the only place where it names the cause of a
   * failed connection.
   */
  complaints(): string {
    const said = this.events.filter((event) => event.kind === "Warning" || event.kind === "Error");
    return said
      .slice(-15)
      .map((event) => `  ${this.name} ${event.kind}: ${event.msg}`)
      .join("\n");
  }

  /** Ends the process and removes its folder. */
  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
