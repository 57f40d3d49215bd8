// What a panel of each kind may have, from Grafana's own types. An enumeration of TypeScript takes no plain text, which
// is all that JSON has: Json turns its members into the texts and numbers that they stand for.
import type * as dashboard from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';
import type * as common from '@grafana/schema/dist/esm/common/common.gen';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as gauge from '@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import type * as logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as states from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

export type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}` ? N : number
    : T extends readonly (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

type Panel<Options, Custom> = { options: Json<Options>; custom: Json<Custom> };
type Nothing = Record<string, never>;

export type Dashboard = Json<dashboard.Dashboard>;
export type Kinds = {
  bargauge: Panel<bargauge.Options, Nothing>;
  gauge: Panel<gauge.Options, Nothing>;
  logs: Panel<Partial<logs.Options>, Nothing>;
  stat: Panel<Partial<stat.Options>, Nothing>;
  'state-timeline': Panel<states.Options, Partial<states.FieldConfig>>;
  table: Panel<Partial<table.Options>, common.TableFieldOptions>;
  timeseries: Panel<timeseries.Options, timeseries.FieldConfig>;
};
