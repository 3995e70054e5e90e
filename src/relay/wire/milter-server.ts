/**
 * Milter server: drives one MessageFilter for each message. A connection is one smtpd process of
 * Postfix, reused for many messages; its packets are answered strictly in order. Malformed packets
 * end the connection, which Postfix answers with its milter_default_action (tempfail).
 */
import { type Answer, type Dialogue, type FailureHandlers, LastAnswer, ProtocolError } from "./conversation.ts";
import {
  actions,
  type Command,
  type Modification,
  negotiate,
  type Options,
  PacketReader,
  parseCommand,
  type Reply,
  renderModification,
  renderOptions,
  renderReply,
  steps,
} from "./milter.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";

/**
 * Judges one message, from MAIL to the end of its data. The methods are called in this order and
 * never at the same time.
 */
export interface MessageFilter {
  /**
   * A text is the SMTP reply that refuses the recipient. `parameters`: of RCPT, such as
   * "NOTIFY=NEVER".
   */
  recipient(address: string, parameters: readonly string[]): Promise<string | undefined>;
  header(name: string, value: string): void;
  endOfHeaders(): void;
  body(chunk: Buffer): void;
  endOfMessage(): Promise<Judgement>;
  /** The last call, whatever came of the message. */
  ended?(): void;
}

export interface Judgement {
  reply: Extract<Reply, { kind: "accept" | "discard" | "reply" }>;
  modifications: readonly Modification[];
}

/** Where a message comes from. */
export interface Origin {
  /** The envelope sender, without angle brackets, as the peer spelt it. */
  sender: string;
  /** How large the peer says that the message is (SIZE, RFC 1870), in bytes. */
  size?: number | undefined;
  /** The IP address of the MTA's client, where the MTA knows one. */
  client: string | undefined;
}

/** Where an answer fails on our side, the peer is told to try again. */
export interface MilterOptions extends FailureHandlers {
  path: string;
  begin(from: Origin): MessageFilter;
}

/**
 * Answered are a recipient and the end of the message: every other answer would be "go on", and
 * cost a change of process on both sides.
 */
const wanted: Options = {
  version: 6,
  actions: actions.addHeader | actions.deleteRecipient | actions.changeHeader | actions.changeFrom,
  steps:
    steps.noHelo |
    steps.noUnknown |
    steps.noData |
    steps.noReplyToConnect |
    steps.noReplyToMail |
    steps.noReplyToHeader |
    steps.noReplyToEndOfHeaders |
    steps.noReplyToBody |
    steps.headerLeadingSpace,
};

/**
 * An smtpd whose client sends nothing is silent for its own timeouts (300 s); one that is silent
 * for longer is gone.
 */
const idleTimeoutMs = 3_600_000;

export function openMilter(options: MilterOptions): Promise<SocketServer> {
  return openSocketServer({ ...options, at: options.path, idleMs: idleTimeoutMs }, () => new MilterSession(options));
}

class MilterSession implements Dialogue<Command> {
  readonly #options: MilterOptions;
  readonly #reader = new PacketReader();
  #agreed: Options | undefined;
  #client: string | undefined;
  #message: MessageFilter | undefined;
  /** After a failure within a message: every later question about it is answered "try again". */
  #failed = false;

  constructor(options: MilterOptions) {
    this.#options = options;
  }

  owing(): boolean {
    return this.#message !== undefined;
  }

  ended(): void {
    this.#forget();
  }

  questions(chunk: Buffer): Command[] {
    return this.#reader.push(chunk).map(parseCommand);
  }

  async answer(command: Command): Promise<Answer> {
    if (!this.#agreed && command.kind !== "options" && command.kind !== "quit") {
      throw new ProtocolError(`${command.kind} before option negotiation`);
    }
    switch (command.kind) {
      case "options":
        return this.#negotiate(command.options);
      case "macros":
        return undefined;
      case "connect":
        this.#client = command.address;
        return this.#goOn(steps.noReplyToConnect);
      case "mail":
        this.#forget();
        this.#message = this.#options.begin({
          sender: withoutBrackets(command.args[0] ?? ""),
          size: declaredSize(command.args),
          client: this.#client,
        });
        return this.#goOn(steps.noReplyToMail);
      case "recipient": {
        const [address = "", ...parameters] = command.args;
        const refusal = await this.#guard((message) => message.recipient(withoutBrackets(address), parameters));
        return this.#reply(refusal === undefined ? undefined : { kind: "reply", text: refusal });
      }
      case "header":
        await this.#guard((message) => message.header(command.name, command.value));
        return this.#goOn(steps.noReplyToHeader);
      case "endOfHeaders":
        await this.#guard((message) => message.endOfHeaders());
        return this.#goOn(steps.noReplyToEndOfHeaders);
      case "body":
        await this.#guard((message) => message.body(command.chunk));
        return this.#goOn(steps.noReplyToBody);
      case "endOfMessage":
        return this.#judge(command.chunk);
      case "nextConnection":
        this.#client = undefined;
        return this.#forget();
      case "abort":
        return this.#forget();
      case "quit":
        return new LastAnswer();
      case "other":
        return this.#reply(undefined);
    }
  }

  #forget(): undefined {
    this.#message?.ended?.();
    this.#message = undefined;
    this.#failed = false;
  }

  #negotiate(offer: Options): Answer {
    const agreed = negotiate(offer, wanted);
    if (!agreed) throw new ProtocolError(`version ${offer.version} with actions ${offer.actions} is too little`);
    this.#agreed = agreed;
    return renderOptions(agreed);
  }

  async #judge(chunk: Buffer): Promise<Answer> {
    const judgement = await this.#guard(async (message) => {
      if (chunk.length > 0) message.body(chunk);
      return message.endOfMessage();
    });
    const failed = this.#failed;
    this.#forget();
    if (failed || !judgement) return renderReply({ kind: "tempfail" });
    return Buffer.concat([...judgement.modifications.map(renderModification), renderReply(judgement.reply)]);
  }

  /**
   * Runs a question of the message; a failure of ours is remembered and told, and the answer is
   * undefined.
   */
  async #guard<T>(ask: (message: MessageFilter) => T | Promise<T>): Promise<T | undefined> {
    const message = this.#message;
    if (!message) throw new ProtocolError("outside of a message");
    if (this.#failed) return undefined;
    try {
      return await ask(message);
    } catch (thrown) {
      this.#failed = true;
      this.#options.onFailure(thrown);
      return undefined;
    }
  }

  /** For what the MTA wants an answer to, unless it agreed to go on without. */
  #goOn(without: number): Answer {
    return ((this.#agreed?.steps ?? 0) & without) === 0 ? this.#reply(undefined) : undefined;
  }

  #reply(reply: Reply | undefined): Answer {
    return renderReply(this.#failed ? { kind: "tempfail" } : (reply ?? { kind: "continue" }));
  }
}

function withoutBrackets(address: string): string {
  return address.replace(/^<(.*)>$/s, "$1");
}

function declaredSize(args: readonly string[]): number | undefined {
  const size = args.find((each) => /^SIZE=[0-9]{1,15}$/i.test(each));
  return size === undefined ? undefined : Number(size.slice("SIZE=".length));
}
