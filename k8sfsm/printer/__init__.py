"""What `kubectl get` prints."""

from k8sfsm.printer.tables import Column, columns_of, printed, printed_table, row_of

__all__ = ["Column", "columns_of", "printed", "printed_table", "row_of"]
