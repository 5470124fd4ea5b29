"""`python -m maggan.tables table1|table2|table3 PROFILE`: print a table, and write it in every format."""

from maggan.arguments import ARGUMENTS, arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.tables import TABLES, write_table


def main():
    parser = arguments("tables", "Tables 1 to 3.")
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("profile", **ARGUMENTS["profile"])
    args = parser.parse_args()
    print(write_table(args.table, Results(args.profile)).read_text(encoding="utf-8"))


if __name__ == "__main__":
    cli(main)
