"""The kit of every list page: filters, chips, tiles, selection, column layout, memory, export.

address     the query string as the only truth      filters    StrictFilterSet and its columns, tiles
selection   what the person ticked                  layout     which columns, in which order
tables      columns and rows                        memory     what the session keeps
pages       ListPage, the view                      export     CSV
figures     numbers and times in words              drift      drift as a picture
answers     what a refused command says
"""
