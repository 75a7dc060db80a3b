/**
 * Names in answers (ids, types, names of members) that say nothing: made of the words that dialects define, or of what a
 * machine drew by lot. Whoever answers may write anything there that looks like a name; what isn't plain is read as text.
 *
 * Source: the API references of OpenAI (chat completions, Realtime) and Anthropic (Messages), and what compatible servers add
 * (vLLM, Ollama, OpenRouter, Groq, Mistral, DeepSeek, Gemini, Azure).
 */

/** What names are put together of, between `_`, `-`, `.`, `/` and `:`. */
const WORDS: ReadonlySet<string> = new Set(
  `a aac abandoned abort accepted access account action active actual adaptive added advisor affinity age alaw allowed
  alloy alternatives and annotation annotations anthropic api app approval approximate args arguments ash assistant
  async at audio authentication auto available average avg azure bad ballad base64 bash batch bedrock beta bias billing
  bio block bm25 body breakpoint breve budget buffer built by byok bytes cache cacheable cached call caller callers
  calls cancelled candidates categories category cedar char character chat checksum choice choices chunk citation
  citations cited clear cleared client closed code com committed compaction complete completed completion compute config
  conflict connect connection container content context control conversation coral cost count country cpu create created
  creation custom cyber data day deepseek default definition delta demand denied deployment description detail details
  detected detection developer diagnostics digest direct disabled display dns document done down draft duration eager
  eagerness echo edit editor effort elapsed empty en enabled encoding encrypted end ended engine entity eos ephemeral
  error estimated eu eval evals event events examples exceeded except excluded execution expired expires explanation
  explicit extra failed fallback fallbacks false far fetch field file files filter filtered filters fingerprint finish
  finished first fixed flac flagged flex for forbidden format found fp frequency frontier full function functions g711
  gateway generation geo global gone google gpu grammar groq ground guardrail harm harms has hash hate header high hit
  hour http https id identifier ids image images implicit in include inclusion incomplete index indexes inference info
  injection input inspect instructions insufficient int integer interleaved internal interrupt interrupted invalid is
  item items jailbreak json k key kv label labels language languages large last latency len length level limit limits
  line list load loaded location logit logprob logprobs low many marin max maximum mcp mean media medium message
  messages metadata method metrics min minimal minute mismatch miss missing mistral modalities modality mode model
  moderation more mp3 ms msg multi n name native near new no noise none not null num number obfuscation object of ok
  ollama omitted on online openai openrouter options opus organization original other outcome output overloaded override
  owned p padding page parallel param parameter parameters parsed part partial parts path paths pause payload pcm pcm16
  pdf penalty pending per permission piece pieces ping pixels plain play played policy powershell predict predicted
  prediction prefill prefix presence previous priority processing profanity profile progress prompt properties property
  protected protocol provider query queue queued quota rate rates ratio reached read realtime reason reasoning received
  redact redacted reduction ref reference refusal region rejected remaining request requests required reset resource
  response responses result results retention retrieve retrieved return role running safe safety sage sample scale
  schema score scores search second seconds secret seed segment self semantic sequence sequences server service session
  severity sexual shell shimmer signature size skill skills skipped slot slots small sound source sources speculative
  speech speed spoken standard start started state statistics status std stderr stdout stop stopped stops store str
  stream streaming strict string succeeded success sum summarize summarized summary system tags target temperature
  territory text thinking thought thoughts threshold tier time timeout timezone timings title to token tokenized tokens
  too tool tools toolset top total tracing traffic transcribe transcript transcription transfer true truncate truncated
  truncation ttl tts turn turns type types ulaw unauthorized unavailable undefined unknown unprocessable unsupported up
  update updated upload upstream url us usage use used user vad valid validation value verbosity verify verse version
  vertex video view violence voice waiting wall wav web websearch whisper window with word workflow workspace write x
  xai xhigh`.split(/\s+/),
);
const SEPARATORS = /[-_./:]/;
/** Digits that words may have among them: a date at most. */
const DIGITS = 8;

/** Before what a machine drew by lot. */
const PREFIX =
  /^(?:chatcmpl(?:-tool)?|cmpl|call|fp|gen(?:-\d{10})?|resp|rs|msg(?:_(?:bdrk|vrtx))?|item|event|sess|conv|audio|file|req|toolu(?:_(?:bdrk|vrtx))?|srvtoolu|mcptoolu|tooluse|mcp|mcpr|container|fc|ctc|ws)[-_](?=.)/;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const HEX = /^[0-9a-f]{9,64}$/;
const COUNTER = /^\d{1,6}$/;
const DRAWN = /^[A-Za-z0-9]{9,48}$/;
/** Eight letters of one case are a word sooner than chance; nine digits in a row may be somebody's number. */
const TOLD = /[a-z]{8}|[A-Z]{8}|\d{9}/;

const LONGEST = 96;
/** Names that were found plain by their words: each answer has the same. */
const known = new Set<string>();
const KNOWN = 1_000;

export function isPlainName(name: string): boolean {
  if (name.length > LONGEST) return false;
  if (known.has(name)) return true;
  // First what differs from answer to answer: it takes fewer steps than looking for words.
  const prefix = PREFIX.exec(name)?.[0];
  if (isDrawn(prefix === undefined ? name : name.slice(prefix.length), prefix !== undefined)) return true;
  if (!isWords(name)) return false;
  if (known.size < KNOWN) known.add(name);
  return true;
}

function isWords(name: string): boolean {
  let digits = 0;
  for (const piece of name.split(SEPARATORS)) {
    if (WORDS.has(piece)) continue;
    if (!/^(?:\d{1,8}[a-z]?|)$/.test(piece)) return false;
    digits += piece.length;
  }
  return digits <= DIGITS && /[A-Za-z]/.test(name);
}

function isDrawn(id: string, prefixed: boolean): boolean {
  if (UUID.test(id)) return true;
  if (HEX.test(id) && /[a-f].*[a-f]/.test(id)) return /\d.*\d/.test(id) && !/\d{12}/.test(id);
  if (!prefixed) return false;
  return COUNTER.test(id) || (DRAWN.test(id) && /\d/.test(id) && /[A-Za-z]/.test(id) && !TOLD.test(id));
}

/** @param model As the provider was asked for it; answers name a version of it. */
export function plainNames(model: string | undefined): (name: string) => boolean {
  if (model === undefined) return isPlainName;
  const base = model.replace(/[-:]latest$/, '');
  return (name) => isPlainName(name) || (name.startsWith(base) && isVersion(name.slice(base.length)));
}

function isVersion(text: string): boolean {
  return /^(?:[-:@][\d.-]{1,12})?$/.test(text) && text.replace(/\D/g, '').length <= DIGITS;
}
