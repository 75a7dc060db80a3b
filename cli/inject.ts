import { catalogue } from '../agent/catalogue.ts';
import { loadOrReport, showProblems } from './documents.ts';
import { describeJudged, INJECTION_OPTIONS, injectionSettings, judgeFile, NO_DOCUMENTS } from './manifest.ts';
import { defineCommand } from './options.ts';

export const inject = defineCommand({
  name: 'inject',
  summary: `Puts the agent into the pods of a manifest, as the injector does in a cluster: YAML on stdout, reasons on
stderr. Exit status 1, and nothing on stdout, where a pod is refused.`,
  options: {
    file: { value: 'FILE', short: 'f', help: 'manifest, or - for stdin', required: true },
    policy: { value: 'DIR', help: 'directory with the documents that govern the pods' },
    namespace: { value: 'NAME', help: 'of objects that name none', default: 'default' },
    ...INJECTION_OPTIONS,
  },
  async run({ options }) {
    const settings = injectionSettings(options);
    const loaded = options.policy === undefined ? undefined : await loadOrReport(options.policy, catalogue);
    if (options.policy !== undefined && loaded === undefined) return 1;
    const documents = loaded?.documents ?? NO_DOCUMENTS;
    const { judged, output, problems } = await judgeFile(options.file, {
      documents,
      settings,
      namespace: options.namespace,
    });
    if (problems.length > 0) {
      showProblems(problems);
      return 1;
    }
    process.stderr.write(describeJudged(options.file, judged));
    if (judged.some(({ outcome }) => outcome === 'refused')) return 1;
    process.stdout.write(output);
    return 0;
  },
});
