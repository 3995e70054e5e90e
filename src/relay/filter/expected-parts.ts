/** What the parts of a message have to be, one by one as they come. */
import { ArmorCheck } from "../mime/armor.ts";
import { DeliveryStatus } from "../mime/delivery-status.ts";
import { ExactText } from "../mime/exact-text.ts";
import { parseContentType, unfolded } from "../mime/headers.ts";
import type { PartHandler, PartHeaders } from "../mime/multipart.ts";
import type { Sink } from "../mime/sink.ts";
import { undoTransferEncoding } from "../mime/transfer.ts";
import { firstStepLine } from "./secure-join.ts";

const returnedMessage = ["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"];
const deliveryStatus = ["message/delivery-status", "message/global-delivery-status"];

/**
 * The parts that an encrypted message, a Secure-Join request or a delivery report has, and no
 * others.
 */
export class ExpectedParts implements PartHandler {
  #encrypted: boolean;
  #secureJoin: boolean;
  #report: boolean;
  #armor: ArmorCheck | undefined;
  #rightParts = 0;
  /** What a report has had so far. */
  #reported: "nothing" | "text" | "status" | "message" = "nothing";

  constructor(hopes: { encrypted: boolean; secureJoin: boolean; report: boolean }) {
    this.#encrypted = hopes.encrypted;
    this.#secureJoin = hopes.secureJoin;
    this.#report = hopes.report;
  }

  get possible(): boolean {
    return this.#encrypted || this.#secureJoin || this.#report;
  }

  get encrypted(): "no" | "yes" | "withVersionLine" {
    if (!this.#encrypted || this.#rightParts !== 2) return "no";
    return this.#armor?.hasVersionLine ? "withVersionLine" : "yes";
  }

  get secureJoinRequest(): boolean {
    return this.#secureJoin && this.#rightParts === 1;
  }

  get deliveryReport(): boolean {
    return this.#report && (this.#reported === "status" || this.#reported === "message");
  }

  begin(index: number, headers: PartHeaders): Sink | undefined {
    const types = headers.get("content-type");
    const encodings = headers.get("content-transfer-encoding");
    if (types.length > 1 || encodings.length > 1) return undefined;
    const { type } = parseContentType(types[0]);
    const content = this.#contentOf(index, type);
    return content && undoTransferEncoding(unfolded(encodings[0] ?? ""), content);
  }

  end(_index: number, right: boolean): boolean {
    if (right) this.#rightParts++;
    return right;
  }

  #contentOf(index: number, type: string): Sink | undefined {
    if (index === 0 && this.#encrypted && type === "application/pgp-encrypted") {
      this.#secureJoin = false;
      return new ExactText(["Version: 1"], { anyCase: false });
    }
    if (index === 0 && this.#secureJoin && type === "text/plain") {
      this.#encrypted = false;
      this.#report = false;
      return firstStepLine();
    }
    if (index === 1 && this.#encrypted && type === "application/octet-stream") {
      this.#armor = new ArmorCheck();
      return this.#armor;
    }
    return this.#report ? this.#partOfReport(type) : undefined;
  }

  /**
   * RFC 6522 §3: a text for people, the status for programs, the mail or its headers. The first and
   * the last may be missing.
   */
  #partOfReport(type: string): Sink | undefined {
    const before = this.#reported;
    if (before === "nothing" && type === "text/plain") {
      this.#reported = "text";
      return anything;
    }
    if ((before === "nothing" || before === "text") && deliveryStatus.includes(type)) {
      this.#reported = "status";
      return new DeliveryStatus();
    }
    if (before === "status" && returnedMessage.includes(type)) {
      this.#reported = "message";
      return anything;
    }
    return undefined;
  }
}

const anything: Sink = { write: () => true, end: () => true };
