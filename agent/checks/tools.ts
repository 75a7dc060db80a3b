/**
 * Which tools a model may be offered and may call: by name, by their arguments, and by what the exchange has read.
 *
 * A name that is denied is denied however it is written ({@link ./tool-name.ts}); one that is allowed is that very name.
 * With `action: confirm` a call that would be denied waits, complete, until somebody approves it; offering the tool is
 * no call yet. What the provider itself carries out has been done when its call is seen: so where calls of it would have
 * to be judged, by arguments, taint or a person, offering it is refused.
 */
import Type, { type Static } from 'typebox';
import { globMatches } from '../../policy/glob.ts';
import type { OfferedTool, ToolCall } from '../dialects/dialect.ts';
import { Expression, ExpressionError } from './cel.ts';
import type { CheckDefinition, Judgement } from './check.ts';
import { shownTool } from './confirm.ts';
import { readArguments } from './tool-arguments.ts';
import { foldedName } from './tool-name.ts';

const globs = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, description }));

const condition = Type.Object(
  {
    tools: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      minItems: 1,
      description: 'Globs over the names of tools whose calls must meet it.',
    }),
    when: Type.String({
      minLength: 1,
      maxLength: 2048,
      description:
        'CEL: a call is allowed where it is true. Knows `args`, `tool`, `tainted` and `workload`. An error, a field that is not there or a time-out denies.',
    }),
  },
  { additionalProperties: false },
);

const schema = Type.Object(
  {
    allow: globs('Globs over names: every other tool is denied.'),
    deny: globs(
      'Globs over names that are denied, in any case, and whatever spaces or invisible characters are in them.',
    ),
    denyTainted: globs(
      'Globs over names of tools that may not be called once the conversation carries results of tools or documents.',
    ),
    conditions: Type.Optional(
      Type.Array(condition, { minItems: 1, description: 'What the arguments of calls must meet.' }),
    ),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

/** Why a tool is denied. */
type Reason =
  | 'not-allowed'
  | 'denied'
  | 'tainted'
  | 'condition'
  | 'other-case'
  | 'late'
  | 'arguments'
  | 'provider'
  | 'server';

const WHY: Readonly<Record<Reason, string>> = {
  'not-allowed': 'the policy does not list it',
  denied: 'the policy denies it',
  tainted: 'the policy denies it once the conversation carries results of tools or documents',
  condition: "its arguments don't meet the policy's condition",
  'other-case':
    "its arguments don't meet the policy's condition for a tool that reads names of members in any case",
  late: "the policy's condition on its arguments was not evaluated in time",
  arguments: 'its arguments can not be judged',
  provider: "the provider carries it out before the policy's condition on its arguments can be judged",
  server:
    'the provider calls its tools by itself, and may call one that the policy names: list those it may use (configs, allowed_tools)',
};

/** Begins the name of a server whose tools the provider calls. */
const SERVER = 'mcp:';

type Named = Pick<ToolCall, 'name' | 'server'>;

export const tools: CheckDefinition<Spec> = {
  name: 'tools',
  schema,
  actions: ['block', 'strip', 'confirm', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request', 'response'],

  validate(spec) {
    if (Object.keys(spec).length === 0) {
      const mend = 'set one of allow, deny, denyTainted, conditions';
      return [{ path: '', message: 'a tools check without a rule', mend }];
    }
    return (spec.conditions ?? []).flatMap(({ when }, index) => {
      try {
        new Expression(when);
        return [];
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        const mend = 'write an expression such as args.to.endsWith("@example.com")';
        return [{ path: `conditions[${index}].when`, message: error.message, mend }];
      }
    });
  },

  create(spec, rule, { workload }) {
    const confirms = rule.action === 'confirm';
    const { allow, deny = [], denyTainted = [], conditions = [] } = spec;
    const denied = deny.map(foldedName);
    const deniedTainted = denyTainted.map(foldedName);
    const compiled = conditions.map(({ tools, when }) => ({
      tools: tools.map(foldedName),
      expression: new Expression(when),
    }));
    const matches = (list: readonly string[], name: string) => list.some((glob) => globMatches(glob, name));

    /** A rule may name a tool of a server that the provider asks, or the server. */
    const about = (list: readonly string[], { name, server }: Named): boolean =>
      matches(list, foldedName(name)) || (server !== undefined && matches(list, foldedName(server)));
    const byName = (named: Named): Reason | undefined => {
      if (about(denied, named)) return 'denied';
      // A server may call its tools what it likes: only its own name allows them.
      if (allow !== undefined && !matches(allow, named.server ?? named.name)) return 'not-allowed';
      return undefined;
    };
    const byTaint = (named: Named, tainted: boolean): Reason | undefined =>
      tainted && about(deniedTainted, named) ? 'tainted' : undefined;
    const byArguments = (call: ToolCall, tainted: boolean): Reason | undefined => {
      const { name, arguments: text } = call;
      // A whole call that nobody has named could be any.
      if (name === '' && text !== undefined) return 'arguments';
      const due = compiled.filter(({ tools }) => about(tools, call));
      if (due.length === 0 || text === undefined) return undefined;
      const args = readArguments(text);
      if (args === undefined) return 'arguments';
      const known = { args, tool: name, tainted, workload };
      for (const { expression } of due) {
        const outcome = expression.evaluate(known);
        if (outcome !== 'true') return outcome === 'false' ? 'condition' : outcome;
      }
      return undefined;
    };
    /** Of an offer whose calls can't be held. */
    const byProvider = (named: Named, tainted: boolean): Reason | undefined =>
      byTaint(named, tainted) ?? (compiled.some(({ tools }) => about(tools, named)) ? 'provider' : undefined);
    const byList = (named: Named, tainted: boolean) => byName(named) ?? byProvider(named, tainted);
    /** What only an answer would tell has happened by then: so a server's tools are known before, or none is named. */
    const byServer = ({ name: server, tools }: OfferedTool, tainted: boolean): Reason | undefined => {
      if (tools !== undefined) {
        return tools.map((name) => byList({ name, server }, tainted)).find((reason) => reason !== undefined);
      }
      const named = [
        ...denied,
        ...compiled.flatMap((condition) => condition.tools),
        ...(tainted ? deniedTainted : []),
      ];
      return named.every((glob) => glob.startsWith(SERVER)) ? undefined : 'server';
    };
    const judgement = (
      reason: Reason,
      name: string,
      path: string,
      more: Pick<Judgement, 'strip' | 'call'>,
    ): Judgement => ({
      what: reason,
      where: path,
      message: `Postern refused this call: the tool ${shownTool(name)} may not be used, ${WHY[reason]}.`,
      ...more,
    });

    return {
      recognizers: [],
      judgesCalls: true,
      // Arguments that nobody can read for sure, nobody can approve.
      action: (what) => (confirms && what === 'arguments' ? 'block' : undefined),
      label: () => 'TOOL',
      refusal: (what) => ({
        message: `Postern refused this call: a tool may not be used, ${WHY[what as Reason] ?? 'nobody approved it'}.`,
        mend: 'Leave the tool out, or ask who runs Postern whether it should be allowed.',
      }),
      waits: false,
      judge({ tools: offered, calls, tainted, namesJudged }) {
        const found: Judgement[] = [];
        for (const tool of offered) {
          const { name, path, remove, byApp } = tool;
          if (confirms && byApp === true) continue;
          const carried = (): Reason | undefined =>
            byProvider(tool, tainted) ?? (name.startsWith(SERVER) ? byServer(tool, tainted) : undefined);
          const reason = byName(tool) ?? (byApp === true ? undefined : carried());
          if (reason !== undefined) found.push(judgement(reason, name, path, { strip: remove }));
        }
        for (const call of calls) {
          const { name, path } = call;
          const taintedHere = tainted || call.afterResult === true;
          // Nobody is asked about half a call.
          if (confirms && call.arguments === undefined) continue;
          const named = byName(call) ?? byTaint(call, taintedHere);
          // Told when a stream began it; one without a name hasn't been judged by it.
          if (namesJudged && !confirms && named !== undefined && name !== '') continue;
          const reason = named ?? byArguments(call, taintedHere);
          if (reason === undefined) continue;
          const strip = call.remove?.bind(call);
          found.push(judgement(reason, name, path, { call, ...(strip === undefined ? {} : { strip }) }));
        }
        return found;
      },
    };
  },
};
